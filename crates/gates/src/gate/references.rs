//! References: every one leads to an entry.

use ashlar_model::{EntryId, Finding, TypeName};

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    findings::Findings,
    inputs::Inputs,
    world::{Change, Part, Work, World, site::Near},
};

const FINDINGS: &[Code] = findings! {
    "reference-missing": "A reference names an entry that does not exist." => "Add the entry, or correct the reference.";
    "reference-deleted": "A reference names an entry that this change deletes." => "Keep the entry, or remove the reference in the same changeset.";
};

/// The gate `references`.
pub(crate) struct References;

impl Gate for References {
    fn about(&self) -> &'static About {
        &About {
            name: "references",
            judges: "Every reference leads to an entry that exists.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        inputs
            .digest("lookup", &world.digest(Part::Lookup))
            .digest("snapshot", &world.digest(Part::Snapshot));
        inputs.digest("base", &world.digest(Part::BaseSnapshot));
    }

    fn follows(&self, _: &dyn World, change: &Change<'_>) -> bool {
        change.same_lookup
    }

    fn judges_content(&self) -> bool {
        true
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let mut findings = Findings::default();
        let mut near = Near::new(world.site());
        let (looked, [one, many]) = world.references(change, &mut |type_name, id, places| {
            if world.site().has_entry(type_name, id)? || world.may_exist(type_name, id) {
                return Ok(());
            }
            let deleted = match world.base_site() {
                Some(base) => base.has_entry(type_name, id)?,
                None => false,
            };
            let near = if deleted { None } else { near.entry(type_name, id)? };
            for place in places {
                let broken = Broken { place: place?, type_name, id, deleted, near: near.clone() };
                findings.push(broken.finding());
            }
            Ok(())
        })?;
        Ok(Work::looked(findings, looked, change, one, many))
    }
}

/// A reference that leads nowhere.
struct Broken<'a> {
    place: String,
    type_name: &'a TypeName,
    id: &'a EntryId,
    /// The base still had what is referred to.
    deleted: bool,
    /// An id of the type that may be meant.
    near: Option<String>,
}

impl Broken<'_> {
    fn finding(self) -> Finding {
        let target = format!("{}/{}", self.type_name, self.id);
        if self.deleted {
            return Finding::error(
                "reference-deleted",
                self.place,
                format!("It refers to {target}, which is deleted here."),
            )
            .help(format!("keep {target}, or remove this reference in the same changeset"))
            .about(target);
        }
        Finding::error(
            "reference-missing",
            self.place,
            format!("It refers to {target}, which does not exist."),
        )
        .help(match self.near {
            Some(near) => format!("did you mean `{near}`? Otherwise add {target}"),
            None => format!("add {target}, or change the reference"),
        })
        .about(target)
    }
}
