//! From values to what people read.

use std::{
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
};

use ashlar_model::Anchors;
use comrak::{
    Options,
    adapters::{HeadingAdapter, HeadingMeta},
    nodes::Sourcepos,
    options::Plugins,
};
use serde_json::Value;

/// Headings with the ids that search results lead to.
struct Headings<'a>(Mutex<&'a mut Anchors>);

impl HeadingAdapter for Headings<'_> {
    fn enter(&self, out: &mut dyn Write, heading: &HeadingMeta, _: Option<Sourcepos>) -> fmt::Result {
        let anchor = self.0.lock().unwrap_or_else(PoisonError::into_inner).next(&heading.content);
        match anchor {
            Some(anchor) => write!(out, "<h{} id=\"{}\">", heading.level, ashlar_model::escaped(&anchor)),
            None => write!(out, "<h{}>", heading.level),
        }
    }

    fn exit(&self, out: &mut dyn Write, heading: &HeadingMeta) -> fmt::Result {
        writeln!(out, "</h{}>", heading.level)
    }
}

/// Markdown as HTML that is safe to show: raw HTML is left out, links keep to http, https, mailto and tel. Headings have ids. A text that would
/// take too long to parse (see [`ashlar_model::check_markdown`]) is shown as it was written.
pub fn markdown(text: &str) -> String {
    markdown_among(text, &mut Anchors::default())
}

/// The same on a page that has these ids already.
pub(crate) fn markdown_among(text: &str, anchors: &mut Anchors) -> String {
    if ashlar_model::check_markdown(text).is_err() {
        return format!("<pre>{}</pre>", ashlar_model::escaped(text));
    }
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.parse.smart = true;
    let headings = Headings(Mutex::new(anchors));
    let mut plugins = Plugins::default();
    plugins.render.heading_adapter = Some(&headings);
    let html = comrak::markdown_to_html_with_plugins(text, &options, &plugins);
    let mut builder = ammonia::Builder::default();
    for tag in ["h1", "h2", "h3", "h4", "h5", "h6"] {
        // Raw HTML is gone by now, so these ids are the ones from above.
        builder.add_tag_attributes(tag, &["id"]);
    }
    builder
        .link_rel(Some("noopener"))
        .url_schemes(["http", "https", "mailto", "tel"].into())
        .clean(&html)
        .to_string()
}

/// An amount in minor units, as people of a locale write it; without cents when there are none.
pub(crate) fn money(minor: i64, currency: &str, locale: &str) -> String {
    let digits = if matches!(currency, "JPY" | "KRW" | "ISK" | "CLP" | "VND") { 0 } else { 2 };
    let unit = 10_i64.pow(digits);
    let (whole, cents) = ((minor / unit).unsigned_abs(), (minor % unit).unsigned_abs());
    let (thousands, decimal, behind) = match locale.split('-').next().unwrap_or_default() {
        "de" | "es" | "it" | "nl" | "da" => ('.', ',', true),
        "fr" => ('\u{202f}', ',', true),
        _ => (',', '.', false),
    };
    let plain = whole.to_string();
    let mut number = String::new();
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            number.push(thousands);
        }
        number.push(c);
    }
    if cents > 0 {
        number.push_str(&format!("{decimal}{cents:02}"));
    }
    let sign = match currency {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        other => other,
    };
    let minus = if minor < 0 { "−" } else { "" };
    match behind {
        true => format!("{minus}{number}\u{a0}{sign}"),
        false if sign.len() == 3 && sign == currency => format!("{minus}{sign}\u{a0}{number}"),
        false => format!("{minus}{sign}{number}"),
    }
}

/// A day as people of a locale write it, by the words `months` and `date` of the texts: `{day} {month} {year}`.
pub(crate) fn date(text: &str, texts: &Value) -> String {
    let Ok(day) = text.get(..10).unwrap_or(text).parse::<jiff::civil::Date>() else { return text.to_owned() };
    let months = texts.get("months").and_then(Value::as_array);
    let month = months
        .and_then(|m| m.get(usize::try_from(day.month() - 1).unwrap_or_default()))
        .and_then(Value::as_str);
    let (Some(month), Some(form)) = (month, texts.get("date").and_then(Value::as_str)) else {
        return text.to_owned();
    };
    form.replace("{day}", &day.day().to_string())
        .replace("{month}", month)
        .replace("{year}", &day.year().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_people_write_them() {
        for (minor, currency, locale, expected) in [
            (14_900, "EUR", "en", "€149"),
            (14_950, "EUR", "en", "€149.50"),
            (123_456_700, "USD", "en", "$1,234,567"),
            (14_900, "EUR", "de", "149\u{a0}€"),
            (123_450, "EUR", "fr", "1\u{202f}234,50\u{a0}€"),
            (-500, "GBP", "en", "−£5"),
            (1_500, "JPY", "en", "¥1,500"),
            (500, "SEK", "en", "SEK\u{a0}5"),
        ] {
            assert_eq!(money(minor, currency, locale), expected);
        }
    }

    #[test]
    fn markdown_is_safe() {
        let html = markdown(
            "# Hello *there*\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) [b](/en/x) <b onclick=x>c</b>",
        );
        assert!(
            !html.contains("script>") && !html.contains("javascript:") && !html.contains("onclick"),
            "{html}"
        );
        assert!(html.contains("href=\"/en/x\""), "{html}");
    }

    #[test]
    fn headings_have_ids() {
        let html =
            markdown("# Set *up*\n\n## Set up\n\n## \"><script>x</script>\n\n## …\n\n<h2 id=\"own\">x</h2>");
        for expect in ["<h1 id=\"set-up\">Set <em>up</em></h1>", "<h2 id=\"set-up-1\">", "<h2>…</h2>"] {
            assert!(html.contains(expect), "{html}");
        }
        assert!(!html.contains("own") && !html.contains("<script"), "{html}");
    }

    #[test]
    fn markdown_that_would_take_too_long_is_shown_as_written() {
        let start = std::time::Instant::now();
        let repeat = |s: &str| s.repeat(50_000 / s.len());
        for text in [
            repeat(">"),
            repeat("- "),
            repeat("*a "),
            repeat("**a *"),
            repeat("["),
            repeat("[a]("),
            repeat("[a](<b> 'c"),
            repeat("!["),
            repeat("`a``"),
            repeat("<!--"),
            repeat("<?"),
            repeat("'\""),
            repeat("~a "),
            repeat("[a]["),
            format!("{}a{}", "*".repeat(25_000), "*".repeat(25_000)),
            format!("{}\n{}\n{}", "|a".repeat(500), "|-".repeat(500), "|\n".repeat(5_000)),
        ] {
            let html = markdown(&text);
            assert!(html.len() < 50 * text.len(), "{} became {}", text.len(), html.len());
        }
        assert_eq!(
            markdown(&format!("{}<b>&", ">".repeat(3_000))),
            format!("<pre>{}&lt;b&gt;&amp;</pre>", "&gt;".repeat(3_000))
        );
        // As much as the bounds let through.
        for text in [
            repeat("*a ")[..14_000].to_owned(),
            repeat("[a](<b> 'c")[..14_000].to_owned(),
            repeat("<!--")[..12_000].to_owned(),
            repeat("[a][")[..12_000].to_owned(),
            repeat("'\"")[..9_000].to_owned(),
            "> ".repeat(60),
            format!("{}a{}", "*".repeat(3_400), "*".repeat(3_400)),
            repeat("[^a] ")[..20_000].to_owned(),
        ] {
            markdown(&text);
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[test]
    fn days_as_people_write_them() {
        let texts =
            serde_json::json!({ "months": ["January", "February", "March"], "date": "{day} {month} {year}" });
        assert_eq!(date("2026-03-07", &texts), "7 March 2026");
        assert_eq!(date("2026-08-07", &texts), "2026-08-07");
        assert_eq!(date("soon", &texts), "soon");
    }
}
