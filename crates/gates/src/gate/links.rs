use ashlar_model::{Finding, Locale};

/// A Markdown link that leads nowhere.
pub(crate) fn broken(place: String, locale: &Locale, target: &str) -> Finding {
    Finding::error(
        "link-broken",
        place,
        format!("The link to {target} leads nowhere: no entry has this route in `{locale}` or its fallbacks."),
    )
    .help("correct the link, add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml")
}
