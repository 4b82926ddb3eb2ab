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

/// A text as it is written inside XML 1.0, or inside an attribute in quotes. Characters that XML does not have become U+FFFD.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c < ' ' && c != '\t' => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The fragments that lead to the headings of one page: pages and search results agree on them. No two are the same.
#[derive(Debug, Default)]
pub struct Anchors {
    /// The fragments that are in use, each with the number that was last put behind it.
    given: HashMap<String, u32>,
}

impl Anchors {
    /// Keeps a fragment that something else on the page has, such as a block.
    pub fn reserve(&mut self, fragment: &str) {
        self.given.entry(fragment.to_owned()).or_insert(0);
    }

    /// The fragment of the next heading, from its text without markup: lower case, hyphens for spaces, no punctuation, and a number
    /// when the page has the same already. A heading such as `Title {#name}` says it itself. `None` for a heading without letters.
    pub fn next(&mut self, heading: &str) -> Option<String> {
        if let Some(name) = named(heading) {
            return Some(self.unused(name.to_owned()));
        }
        let words: Vec<String> = heading.split_whitespace().map(plain).collect();
        let slug = words.join("-");
        if slug.chars().all(|c| c == '-') {
            return None;
        }
        Some(self.unused(slug))
    }

    /// A fragment, with the first number that makes it the only one.
    fn unused(&mut self, fragment: String) -> String {
        let Some(last) = self.given.get(&fragment).copied() else {
            self.given.insert(fragment.clone(), 0);
            return fragment;
        };
        let mut number = last;
        let free = loop {
            number = number.saturating_add(1);
            let numbered = format!("{fragment}-{number}");
            if !self.given.contains_key(&numbered) {
                break numbered;
            }
        };
        self.given.insert(fragment, number);
        self.given.insert(free.clone(), 0);
        free
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
            ("Own name", Some("own-name-1")),
            ("Set up 2", Some("set-up-2")),
            ("Set up", Some("set-up-3")),
            ("…", None),
            ("", None),
        ] {
            assert_eq!(anchors.next(heading).as_deref(), expect, "{heading}");
        }
    }

    #[test]
    fn a_fragment_that_a_block_has_is_not_given_again() {
        let mut anchors = Anchors::default();
        anchors.reserve("usage");
        assert_eq!(anchors.next("Usage").as_deref(), Some("usage-1"));
        anchors.reserve("usage");
        assert_eq!(anchors.next("Usage").as_deref(), Some("usage-2"));
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert!(matches!(escaped("Größe 10 kg; ok"), Cow::Borrowed("Größe 10 kg; ok")));
        assert_eq!(escaped("ä<b c='d' e=\"f\">&amp;ü"), "ä&lt;b c=&#39;d&#39; e=&quot;f&quot;&gt;&amp;amp;ü");
    }
}
