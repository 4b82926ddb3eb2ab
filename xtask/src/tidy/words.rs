//! Words that made texts hard to read. They are rejected wherever people read: in documentation, help texts, messages and
//! pages.

/// A word or phrase, and what to write instead.
const RETIRED: [(&str, &str); 40] = [
    ("anew", "again"),
    ("are gone", "were removed"),
    ("are none", "are not"),
    ("as it was before", "unchanged"),
    ("as they were before", "unchanged"),
    ("bearable", "allowed"),
    ("bent", "changed, rewritten"),
    ("cache in front", "upstream cache"),
    ("caches in front", "upstream caches"),
    ("goes untold", "is delivered"),
    ("hinder", "prevent"),
    ("hinders", "prevents"),
    ("holds", "contains, keeps, has, is valid"),
    ("is gone", "was removed, is missing"),
    ("is none", "is not"),
    ("it is not said", "No … given"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("mends", "fixes"),
    ("nobody needs", "unused"),
    ("nothing needs", "unreferenced"),
    ("past its end", "expired"),
    ("shines", "is highlighted"),
    ("spelt", "named, written"),
    ("stands", "is, appears"),
    ("take away", "remove, delete"),
    ("taken away", "removed, deleted"),
    ("takes away", "removes, deletes"),
    ("taking away", "removing, deleting"),
    ("that there is not", "undefined"),
    ("told", "reported, named, sent"),
    ("untold", "not delivered"),
    ("vanish", "disappear"),
    ("vanished", "disappeared, was removed"),
    ("vanishes", "disappears, is removed"),
    ("vanishing", "disappearing"),
    ("whatever it was", "any"),
    ("what there is", "all …, the …"),
    ("which there is not", "undefined"),
];

/// Phrases in which a retired word is the usual one.
const USUAL: [&str; 6] =
    ["holds a claim", "holds a lease", "holds a lock", "stands for", "there are none", "there is none"];

/// Each retired word of a text, with what to write instead.
fn retired(text: &str) -> Vec<(&'static str, &'static str)> {
    let lower = text.to_lowercase();
    let joins = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut found = Vec::new();
    for (word, instead) in RETIRED {
        for (start, _) in lower.match_indices(word) {
            let (before, after) = (&lower[..start], &lower[start + word.len()..]);
            let whole = !before.ends_with(joins) && !after.starts_with(joins);
            let usual = USUAL.iter().flat_map(|phrase| lower.match_indices(phrase));
            let covers = |(at, phrase): (usize, &str)| at <= start && start + word.len() <= at + phrase.len();
            if whole && !usual.clone().any(covers) {
                found.push((word, instead));
            }
        }
    }
    found
}

/// A line of Markdown without code in backticks.
fn prose(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Retired words of a Markdown text. Indented code is what programs print, and is checked there.
pub fn markdown(path: &str, text: &str, wrong: &mut Vec<String>) {
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        if !fenced && !line.starts_with("    ") {
            report(path, number + 1, &prose(line), wrong);
        }
    }
}

/// Retired words of messages, pages and documentation in a source file. Tests at its end are not read.
pub fn source(path: &str, text: &str, wrong: &mut Vec<String>) {
    for (line, kind, text) in texts(text) {
        let read = match kind {
            Kind::Documentation => true,
            // A single word is a name that programs use.
            Kind::Literal => text.contains(' '),
        };
        if read {
            report(path, line, text, wrong);
        }
    }
}

fn report(path: &str, line: usize, text: &str, wrong: &mut Vec<String>) {
    for (word, instead) in retired(text) {
        wrong.push(format!("{path}:{line}: `{word}` is hard to read here; write: {instead}"));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Documentation,
    Literal,
}

/// The documentation and the string literals of a source file before its tests, each with its line.
fn texts(text: &str) -> Vec<(usize, Kind, &str)> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut out = Vec::new();
    let mut at = 0;
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    while let Some(found) = text[at..].find(['/', '"', '\'']) {
        let start = at + found;
        let rest = &text[start..];
        at = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            if rest.starts_with("///") || rest.starts_with("//!") {
                out.push((line(start), Kind::Documentation, &rest[3..end]));
            }
            start + end
        } else if let Some(inside) = rest.strip_prefix('"') {
            let hashes = text[..start].len() - text[..start].trim_end_matches('#').len();
            let raw = text[..start - hashes].ends_with('r');
            let end = match raw {
                true => inside.find(&format!("\"{}", "#".repeat(hashes))),
                false => closing(inside),
            };
            let end = end.unwrap_or(inside.len());
            out.push((line(start), Kind::Literal, &inside[..end]));
            (start + end + 2).min(text.len())
        } else {
            // A character such as '"' is no start of a text; a lifetime is passed over.
            start + character(rest).unwrap_or(1)
        };
    }
    out
}

/// Where a string literal ends.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// The length of a character literal at the start.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.strip_prefix('\'')?.char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        inside.next()?;
    }
    inside.take(8).find_map(|(at, c)| (c == '\'').then_some(at + 2)).filter(|len| {
        // `'a` and a later quote are a lifetime; a character is short or an escape.
        first == '\\' || text[1..*len - 1].chars().count() == 1
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, markdown, retired, texts};

    #[test]
    fn whole_words_are_found_in_any_case() {
        let words = |text: &str| retired(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(words("Told and mended"), ["mended", "told"]);
        assert_eq!(words("the threshold, a withstands-all, retold"), Vec::<&str>::new());
        assert_eq!(
            words("it stands for a field, holds a lease, and there is none; it holds rows"),
            ["holds"]
        );
    }

    #[test]
    fn code_in_markdown_is_not_prose() {
        let mut wrong = Vec::new();
        markdown("a.md", "fine `told` text\n    told\n```\ntold\n```\nit was told\n", &mut wrong);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("a.md:6: `told`"), "{wrong:?}");
    }

    #[test]
    fn messages_and_documentation_are_told_apart_from_code() {
        let source = "/// One.\nfn a<'a>(x: &'a str) { b('\"', '\\'', \"two \\\" three\"); c(r#\"four \"five\"\"#); } // six\n\
                      #[cfg(test)]\nmod tests { const S: &str = \"seven\"; }";
        let found = texts(source);
        assert_eq!(
            found,
            [
                (1, Kind::Documentation, " One."),
                (2, Kind::Literal, "two \\\" three"),
                (2, Kind::Literal, "four \"five\""),
            ]
        );
    }
}
