use std::collections::BTreeSet;

use ashlar_model::{EntryKey, Finding, Locale};
use ashlar_project::{Redirects, normal_path};

use crate::{GateError, Site, definitions::Definitions, links::LinkRules};

/// Entries that have the same route. `places` names them, in order.
pub(crate) fn clash(route: &str, locale: &Locale, places: &[String]) -> Finding {
    let others = places[1..].join(" and ");
    Finding::error(
        "route-duplicate",
        places.first().cloned().unwrap_or_default(),
        format!("The route {route} ({locale}) is also that of {others}."),
    )
    .help("give one of them another route, for example another slug")
}

/// Why nothing answers a route any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vanished {
    /// Its entry is gone.
    Gone,
    /// Its entry has another route.
    Moved,
    /// Its entry has no route: a field that the route is made of is absent.
    Without,
}

/// Types whose entries have a route, and no page in the project's site: visitors find nothing there, although sitemaps and
/// list pages name the routes.
pub(crate) fn without_page(definitions: &Definitions) -> Vec<Finding> {
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
pub(crate) fn vanished(entry: &EntryKey, route: &str, why: Vanished) -> Finding {
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
pub(crate) fn redirects(
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
