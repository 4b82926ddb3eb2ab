//! Markdown links: every one leads to a page.

use ashlar_model::{Finding, Locale};

use super::{
    interface::{About, Code, Gate},
    routes,
};
use crate::{
    GateError,
    findings::Findings,
    inputs::Inputs,
    world::{Change, Work, World, link_rules, site::Near},
};

const FINDINGS: &[Code] = findings! {
    "link-broken": "A Markdown link leads to a path that nothing answers." => "Correct the link, add a redirect, or list its prefix in `[gates] links_ignored` of ashlar.toml.";
};

/// The gate `links`.
pub(crate) struct Links;

impl Gate for Links {
    fn about(&self) -> &'static About {
        &About {
            name: "links",
            judges: "Every link in Markdown to a path of the site leads to a page.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        routes::reads_paths(world, inputs);
    }

    fn follows(&self, world: &dyn World, change: &Change<'_>) -> bool {
        change.same_lookup && routes::same_paths(world, change)
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let mut findings = Findings::default();
        let rules = link_rules(world.config(), world.definitions());
        let before = world.base_site().filter(|_| world.tells(routes::NAME));
        let mut near = Near::new(world.site());
        // What was found out about a path holds for the next pages that link there; in a candidate they come together.
        let mut last = String::new();
        let mut known: Vec<(Locale, bool)> = Vec::new();
        let looked = world.links(change, &mut |locale, path, places| {
            if last != path {
                path.clone_into(&mut last);
                known.clear();
            }
            let leads = match known.iter().find(|(of, _)| of == locale) {
                Some((_, leads)) => *leads,
                None => {
                    let leads = rules.leads(world.site(), locale, path)?
                        || world.may_lead(path)
                        || match before {
                            Some(before) => rules.vanished_with(before, locale, path)?,
                            None => false,
                        };
                    known.push((locale.clone(), leads));
                    leads
                }
            };
            if !leads {
                let near = near.route(locale, path)?;
                for place in places {
                    findings.push(broken(place?, locale, path, near.clone()));
                }
            }
            Ok(())
        })?;
        Ok(Work::looked(findings, looked, change, "link", "links"))
    }
}

/// A Markdown link that leads nowhere. `near` is a route that may be meant.
fn broken(place: String, locale: &Locale, target: &str, near: Option<String>) -> Finding {
    let otherwise =
        "add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml";
    let help = match near {
        Some(near) => format!("did you mean {near}? Otherwise {otherwise}"),
        None => format!("correct the link, {otherwise}"),
    };
    Finding::error(
        "link-broken",
        place,
        format!(
            "The link to {target} leads nowhere: no entry has this route in `{locale}` or its fallbacks."
        ),
    )
    .about(target)
    .help(help)
}
