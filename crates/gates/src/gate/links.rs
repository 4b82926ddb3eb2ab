use ashlar_model::{Finding, Locale};

/// A Markdown link that leads nowhere. `near` is a route that may be meant.
pub(crate) fn broken(place: String, locale: &Locale, target: &str, near: Option<String>) -> Finding {
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
