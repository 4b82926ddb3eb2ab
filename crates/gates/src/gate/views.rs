//! Views: each can be read, and shows what its contracts have.

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    findings::count,
    inputs::Inputs,
    world::{Change, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "feed": "A feed in ashlar.toml cannot be built." => "Correct the feed as the message says.";
    "view-name": "A view file does not have a name such as pages.v1.toml." => "Rename the file to `views/NAME.vMAJOR.toml`.";
    "view-syntax": "A view file is not valid TOML, or has a wrong field." => "Correct the line that the message names.";
    "view-path": "The path of a view cannot be used." => "Write it like `/v1/pages/{slug}`.";
    "view-path-duplicate": "Two views have the same path." => "Give one of them another `path`.";
    "view-version": "The version of a view is not a version, or does not fit the file name." => "Write it like `1.4.0`, with the major version of the file name.";
    "view-date": "A date of a view is not a date, or the sunset is before the deprecation." => "Write dates like `2027-01-31`, the later one as `sunset`.";
    "view-successor": "`replaced_by` is not the name of a view." => "Write it like `pages.v2`.";
    "view-successor-unknown": "`replaced_by` names a view that does not exist." => "Name a file of `views/`, without `.toml`.";
    "view-cache-control": "`cache_control` is not a header value." => "Use at most 200 printable ASCII characters.";
    "view-rename": "A renamed field cannot have this name." => "Write `[rename] \"sections.headline\" = \"title\"`.";
    "view-type-unknown": "A view shows a content type that does not exist." => "Correct `source`, or add a contract for the type.";
    "view-field-unknown": "A view names a field that its contracts do not have." => "Name a top-level field of the type.";
    "view-lookup-unknown": "`lookup` names a field that its contracts do not have." => "Name a top-level field of the type, or `id`.";
    "view-include-hidden": "An include is about a field that `fields` leaves out." => "Add the field to `fields`, or remove the include.";
    "view-include-not-a-ref": "An include names a field that is not a reference." => "Name a field that has `ref` in its `x-ashlar`.";
    "view-include-depth": "Includes are nested too deeply." => "Remove the innermost include.";
    "view-too-many": "The project has too many views." => "Remove views that nobody reads.";
};

/// The gate `views`.
pub(crate) struct Views;

impl Gate for Views {
    fn about(&self) -> &'static About {
        &About {
            name: "views",
            judges: "Every view can be read and shows fields that its contracts have.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        // Raised when this gate judges differently: 2 looks at feeds whatever else cannot be read.
        inputs.add("rules", b"2");
        for (label, part) in [("views", "views/"), ("config", "ashlar.toml")] {
            inputs.digest(label, &world.definitions().part(part));
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let n = definitions.views.iter().count();
        Ok(Work::of(definitions.view_findings.iter().cloned(), n, count(n, "view", "views")))
    }
}
