//! Routes: no two entries share one, none that is served disappears without a redirect, and redirects lead to pages.

use std::collections::BTreeSet;

use ashlar_model::{EntryKey, Finding, Locale};
use ashlar_project::{Redirects, normal_path};

use super::interface::{About, Code, Gate};
use crate::{
    GateError, Site,
    definitions::Definitions,
    findings::Findings,
    inputs::Inputs,
    world::{Change, Part, RouteAt, Vanished, Work, World, link_rules, links::LinkRules},
};

/// The name of the gate.
pub(super) const NAME: &str = "routes";

const FINDINGS: &[Code] = findings! {
    "route-duplicate": "Two entries have the same route in the same locale." => "Give one of them another route, for example another slug.";
    "route-vanished": "A route that is live would answer 404." => "Add a redirect for it, or `status = 410` when nothing replaces it.";
    "route-without-page": "A type has a route, but the site has no page for it." => "Add a `[[page]]` to site/site.toml, or remove the route from the contract.";
    "redirect": "An entry of redirects.toml cannot be used." => "Correct the line that the message names.";
    "redirect-loop": "Redirects lead in a circle." => "Let one of them lead to a page.";
    "redirect-target": "A redirect leads to a path that nothing answers." => "Correct `to`, or remove the redirect.";
    "toml-malformed": "redirects.toml has a syntax error." => "Correct the line that the message names.";
    "encoding": "redirects.toml is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `routes`.
pub(crate) struct Routes;

impl Gate for Routes {
    fn about(&self) -> &'static About {
        &About {
            name: NAME,
            judges: "No two entries share a route, no served route disappears without a redirect, and every redirect leads to a page.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        reads_paths(world, inputs);
        // Raised when this gate judges differently: 2 looks for pages, 3 for redirects to pages of the site that went.
        inputs.add("rules", b"3").digest("base", &world.digest(Part::BaseLookup));
        inputs.digest("snapshot", &world.digest(Part::Snapshot));
    }

    fn follows(&self, _: &dyn World, change: &Change<'_>) -> bool {
        change.same_lookup
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let mut findings = Findings::default();
        findings.extend(definitions.redirect_findings.iter().cloned());
        findings.extend(without_page(definitions));
        let rules = link_rules(world.config(), definitions);
        let change_of_entries = change.filter(|change| same_paths(world, change));
        let mut lost: BTreeSet<String> = BTreeSet::new();
        let looked = world.routes(change, &mut |at| {
            match at {
                RouteAt::Shared { route, locale, places } => findings.push(clash(route, locale, places)),
                RouteAt::Before { entry, route } => {
                    if change_of_entries.is_some() {
                        lost.extend(rules.spellings(route));
                    }
                    if definitions.redirects.get(route).is_none()
                        && !rules.has_route(world.site(), &entry.locale, route)?
                        && let Some(why) = world.vanished(entry)?
                    {
                        findings.push(vanished(entry, route, why));
                    }
                }
            }
            Ok(())
        })?;
        let only = change_of_entries.map(|_| &lost);
        let locales = world.config().locales.all();
        findings.extend(redirects(world.site(), &rules, &definitions.redirects, &locales, only)?);
        Ok(Work::looked(findings, looked, change, "route", "routes"))
    }
}

/// What decides where a path leads.
pub(super) fn reads_paths(world: &dyn World, inputs: &mut Inputs) {
    let (definitions, config) = (world.definitions(), world.config());
    inputs.digest("lookup", &world.digest(Part::Lookup)).json("locales", &config.locales);
    inputs.json("ignored", &config.gates.links_ignored);
    inputs.digest("redirects", &definitions.part("redirects.toml"));
    inputs.digest("site", &definitions.part("site/"));
    // Raised when `links` and `routes` judge differently: 2 takes `/` for every path, and leaves out what only follows from an
    // entry that is not valid.
    inputs.add("rules", b"2").json("waived", world.waived());
    inputs.digest("served", &world.digest(Part::BaseLookup));
}

/// Whether redirects, ignored prefixes and pages that show no entry are those of the base.
pub(super) fn same_paths(world: &dyn World, change: &Change<'_>) -> bool {
    change.base.redirects == world.definitions().redirects
        && change.base.part("site/") == world.definitions().part("site/")
        && change
            .base
            .config
            .as_ref()
            .is_ok_and(|c| c.gates.links_ignored == world.config().gates.links_ignored)
}

/// Entries that have the same route. `places` names them, in order.
fn clash(route: &str, locale: &Locale, places: &[String]) -> Finding {
    let others = places[1..].join(" and ");
    Finding::error(
        "route-duplicate",
        places.first().cloned().unwrap_or_default(),
        format!("The route {route} ({locale}) is also that of {others}."),
    )
    .help("give one of them another route, for example another slug")
}

/// Types whose entries have a route, and no page in the project's site: visitors find nothing there, although sitemaps and
/// list pages name the routes.
fn without_page(definitions: &Definitions) -> Vec<Finding> {
    let Some(site) = &definitions.site.site else { return Vec::new() };
    let mut out = Vec::new();
    for (type_name, contracts) in definitions.contracts.types() {
        let Some(route) = contracts.iter().rev().find_map(|c| c.route.as_ref()) else { continue };
        if site.page_rule(type_name).is_some() {
            continue;
        }
        let route = route.as_str();
        let help = format!(
            "add a [[page]] for {type_name} to site/site.toml, or remove the route from its contract"
        );
        let lists: Vec<&str> =
            site.file.lists.iter().filter(|l| l.type_name == *type_name).map(|l| l.route.as_str()).collect();
        let message = match lists.is_empty() {
            true => format!(
                "Entries of {type_name} have the route {route} and no page: the site answers 404 there."
            ),
            false => format!(
                "Entries of {type_name} have the route {route} and no page: the site answers 404 there, and {} links to them.",
                lists.join(", ")
            ),
        };
        let finding = match lists.is_empty() {
            // Another application may show them.
            true => Finding::warning("route-without-page", "site/site.toml", message),
            false => Finding::error("route-without-page", "site/site.toml", message),
        };
        out.push(finding.help(help));
    }
    out
}

/// A route of the base that nothing answers any more.
fn vanished(entry: &EntryKey, route: &str, why: Vanished) -> Finding {
    let why = match why {
        Vanished::Gone => "its entry was removed",
        Vanished::Moved => "its entry has another route now",
        Vanished::Without => "its entry has no route now, because a field of the route is absent",
    };
    Finding::error(
        "route-vanished",
        entry.to_string(),
        format!("The route {route} ({}) disappears: {why}, and it has no redirect.", entry.locale),
    )
    .about(route)
    .help(format!(
        "add to redirects.toml: [[redirect]] from = \"{route}\" and to = the path that takes its place, or status = 410 when nothing does"
    ))
}

/// What is wrong with the redirects themselves: loops, and targets that nothing answers. `only` narrows the work to
/// redirects that end at one of these paths.
fn redirects(
    site: &dyn Site,
    rules: &LinkRules<'_>,
    redirects: &Redirects,
    locales: &[Locale],
    only: Option<&BTreeSet<String>>,
) -> Result<Vec<Finding>, GateError> {
    let mut findings = Vec::new();
    let mut in_loops: BTreeSet<usize> = BTreeSet::new();
    for (from, redirect) in redirects.iter() {
        if redirect.is_gone() {
            continue;
        }
        let place = format!("redirects.toml:{}", redirect.line);
        if let Some(circle) = redirects.circle(from)
            && !in_loops.insert(circle)
        {
            continue;
        }
        match redirects.follow(from) {
            Err(path) => {
                const SHOWN: usize = 12;
                let shown = path.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" → ");
                let rest = if path.len() > SHOWN {
                    format!(" → … ({} in all)", path.len() - 1)
                } else {
                    String::new()
                };
                findings.push(
                    Finding::error(
                        "redirect-loop",
                        place,
                        format!("The redirects run in a circle: {shown}{rest}."),
                    )
                    .help("let one of them lead to a page"),
                );
            }
            Ok(end) if end.starts_with('/') && only.is_none_or(|only| only.contains(normal_path(end))) => {
                let mut answered = rules.leads(site, &locales[0], end)?;
                for locale in &locales[1..] {
                    answered = answered || rules.leads(site, locale, end)?;
                }
                if !answered {
                    findings.push(
                        Finding::error(
                            "redirect-target",
                            place,
                            format!(
                                "The redirect from {from} leads to {end}, which no entry has as its route."
                            ),
                        )
                        .help("correct `to`, or remove the redirect"),
                    );
                }
            }
            Ok(_) => {}
        }
    }
    Ok(findings)
}
