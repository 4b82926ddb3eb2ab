use std::{borrow::Cow, collections::HashMap};

/// A text as it is written inside HTML, or inside an attribute in quotes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 5] = ['&', '<', '>', '"', '\''];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(SPECIAL) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The fragments that lead to the headings of one text: pages and search results agree on them.
#[derive(Debug, Default)]
pub struct Anchors {
    /// How often a fragment was given out before.
    given: HashMap<String, u32>,
}

impl Anchors {
    /// The fragment of the next heading, from its text without markup: lower case, hyphens for spaces, no punctuation, and a number
    /// when an earlier heading has the same. A heading such as `Title {#name}` says it itself. `None` for a heading without letters.
    pub fn next(&mut self, heading: &str) -> Option<String> {
        if let Some(name) = named(heading) {
            return Some(name.to_owned());
        }
        let words: Vec<String> = heading.split_whitespace().map(plain).collect();
        let slug = words.join("-");
        if slug.chars().all(|c| c == '-') {
            return None;
        }
        let count = self.given.entry(slug.clone()).and_modify(|n| *n += 1).or_insert(0);
        Some(if *count == 0 { slug } else { format!("{slug}-{count}") })
    }
}

/// The name in `Title {#name}`.
fn named(heading: &str) -> Option<&str> {
    let (_, name) = heading.trim_end().strip_suffix('}')?.rsplit_once("{#")?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// A word without punctuation. A run of hyphens is a dash.
fn plain(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    let is_dash =
        |at: usize| chars[at] == '-' && (chars.get(at + 1) == Some(&'-') || (at > 0 && chars[at - 1] == '-'));
    let kept = (0..chars.len()).filter(|at| !is_dash(*at)).map(|at| chars[at]);
    kept.filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_fragments() {
        let mut anchors = Anchors::default();
        for (heading, expect) in [
            ("Set up", Some("set-up")),
            ("Set  up", Some("set-up-1")),
            ("What site.toml says — and more_", Some("what-sitetoml-says--and-more_")),
            ("One -- two", Some("one--two")),
            ("One – two", Some("one--two-1")),
            ("Größe & Gewicht: 潮位", Some("größe--gewicht-潮位")),
            ("Title {#own-name}", Some("own-name")),
            ("…", None),
            ("", None),
        ] {
            assert_eq!(anchors.next(heading).as_deref(), expect, "{heading}");
        }
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert!(matches!(escaped("Größe 10 kg; ok"), Cow::Borrowed("Größe 10 kg; ok")));
        assert_eq!(escaped("ä<b c='d' e=\"f\">&amp;ü"), "ä&lt;b c=&#39;d&#39; e=&quot;f&quot;&gt;&amp;amp;ü");
    }
}
