//! Values of fields that are declared as personal, in JSON.
//!
//! JSON is looked at as text, so that it is found inside prose, in the result of a tool, when it was cut, and inside strings of other JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use aho_corasick::{AhoCorasick, Input, MatchKind};

/// Backslashes before a quote of JSON, and of JSON in strings of JSON up to twice. Deeper JSON is not looked into.
const SLASHES: [usize; 3] = [0, 1, 3];

/// Names of fields.
#[derive(Debug, Default)]
pub struct Names {
    names: BTreeSet<String>,
    /// Finds the names behind a quote; `None` when there are none.
    finder: Option<AhoCorasick>,
}

impl Names {
    /// Names, prepared for being found.
    #[must_use]
    pub fn new(names: BTreeSet<String>) -> Self {
        // As they are written in JSON, without the closing quote.
        let written = names.iter().map(|name| {
            let mut quoted = serde_json::Value::from(name.as_str()).to_string();
            quoted.pop();
            quoted
        });
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(written);
        let finder = built.ok().filter(|_| !names.is_empty());
        Self { names, finder }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The fields of a release whose values are personal.
#[derive(Debug, Default)]
pub struct Declared {
    everywhere: Arc<Names>,
    /// Tools with fields of their own: their names, with those that are personal everywhere.
    tools: BTreeMap<String, Arc<Names>>,
}

impl Declared {
    /// `everywhere`: names of fields of contracts. `tools`: names of further arguments of tools, by tool.
    #[must_use]
    pub fn new(everywhere: BTreeSet<String>, tools: BTreeMap<String, BTreeSet<String>>) -> Self {
        let own = tools.into_iter().filter(|(_, names)| !names.is_subset(&everywhere));
        let tools = own.map(|(tool, names)| (tool, Arc::new(Names::new(&names | &everywhere)))).collect();
        Self { everywhere: Arc::new(Names::new(everywhere)), tools }
    }

    /// Names that are personal in every text.
    #[must_use]
    pub fn everywhere(&self) -> &Arc<Names> {
        &self.everywhere
    }

    /// Names that are personal in the arguments of a tool.
    #[must_use]
    pub fn of_tool(&self, tool: &str) -> &Arc<Names> {
        self.tools.get(tool).unwrap_or(&self.everywhere)
    }
}

/// A value of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Valued {
    /// Where it is: a string without its quotes, or a number.
    pub at: Range<usize>,
    /// Whether it is a number.
    pub number: bool,
    /// Backslashes before the quotes of the JSON that it is part of.
    pub slashes: usize,
}

impl Valued {
    /// What a string says, as it is to be restored. `escapes`: what restores it writes it as JSON again.
    pub fn value(&self, text: &str, escapes: bool) -> String {
        let raw = &text[self.at.clone()];
        if self.number || !raw.contains('\\') {
            return raw.to_owned();
        }
        let levels = SLASHES.iter().position(|slashes| *slashes == self.slashes).unwrap_or(0) + 1;
        let said = (0..levels).try_fold(raw.to_owned(), |text, _| unescaped(&text));
        match said {
            // Written the same in prose and in JSON of any depth.
            Some(said) if !said.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) => said,
            Some(_) if escapes => unescaped(raw).unwrap_or_else(|| raw.to_owned()),
            _ => raw.to_owned(),
        }
    }
}

/// What a string of JSON says; `None` when it is not one.
pub(super) fn unescaped(text: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

/// A place in JSON whose quotes have this many backslashes before them.
#[derive(Clone, Copy)]
struct Json<'t> {
    text: &'t [u8],
    slashes: usize,
}

impl Json<'_> {
    /// The end of an opening or closing quote that begins at a place.
    fn quote(self, at: usize) -> Option<usize> {
        let end = at + self.slashes;
        let slashes = self.text.get(at..end)?;
        (slashes.iter().all(|byte| *byte == b'\\') && self.text.get(end) == Some(&b'"')).then_some(end + 1)
    }

    /// After spaces. Inside a string, line breaks are written as `\n`.
    fn space(self, mut at: usize) -> usize {
        loop {
            let slashes = self.text[at..].iter().take_while(|byte| **byte == b'\\').count();
            at += match self.text.get(at + slashes) {
                Some(b' ' | b'\t' | b'\n' | b'\r') if slashes == 0 => 1,
                Some(b'n' | b't' | b'r') if (1..=self.slashes).contains(&slashes) => slashes + 1,
                _ => return at,
            };
        }
    }

    /// The end of a string whose content begins at a place: that of its content, and the place behind its closing quote.
    fn string(self, from: usize) -> (usize, usize) {
        for end in memchr::memchr_iter(b'"', &self.text[from..]).map(|at| from + at) {
            let slashes = self.text[from..end].iter().rev().take_while(|byte| **byte == b'\\').count();
            // Each backslash of a string is written as two, so a quote that ends it has the remainder.
            if slashes % (2 * (self.slashes + 1)) == self.slashes {
                return (end - self.slashes, end + 1);
            }
        }
        (self.text.len(), self.text.len())
    }

    /// The strings and numbers of the value at a place. Returns the place behind it.
    fn value(self, from: usize, out: &mut Vec<Valued>) -> usize {
        let (mut at, mut depth) = (from, 0_usize);
        loop {
            at = self.space(at);
            if let Some(content) = self.quote(at) {
                let (end, behind) = self.string(content);
                at = behind;
                let key = depth > 0 && self.text.get(self.space(behind)) == Some(&b':');
                if !key && end > content {
                    out.push(Valued { at: content..end, number: false, slashes: self.slashes });
                }
            } else {
                let Some(byte) = self.text.get(at) else { return at };
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    b'-' | b'0'..=b'9' => {
                        let digit = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                        let end = at + self.text[at..].iter().take_while(digit).count();
                        out.push(Valued { at: at..end, number: true, slashes: self.slashes });
                        at = end - 1;
                    }
                    b',' | b':' if depth > 0 => {}
                    // `true`, `null`, or no JSON.
                    _ if depth > 0 && byte.is_ascii_lowercase() => {}
                    _ => return at,
                }
                at += 1;
            }
            if depth == 0 {
                return at;
            }
        }
    }
}

/// The values of fields with these names in a text, in order.
pub(super) fn valued(text: &str, names: &Names) -> Vec<Valued> {
    let mut out = Vec::new();
    let Some(finder) = &names.finder else { return out };
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(found) = finder.find(Input::new(bytes).range(at..)) {
        at = found.end();
        let before = bytes[..found.start()].iter().rev().take_while(|byte| **byte == b'\\').count();
        if !SLASHES.contains(&before) {
            continue;
        }
        let json = Json { text: bytes, slashes: before };
        let Some(colon) = json.quote(at).map(|end| json.space(end)) else { continue };
        if bytes.get(colon) == Some(&b':') {
            at = json.value(json.space(colon + 1), &mut out).max(at);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let names = Names::new(["name", "salary", "name_full", "home"].map(str::to_owned).into());
        valued(text, &names).into_iter().map(|valued| &text[valued.at]).collect()
    }

    #[test]
    fn values_are_found_in_json_of_every_sort() {
        for (text, values) in [
            (r#"{"name": "Ada", "plan": "basin", "salary": -5.5e3}"#, &["Ada", "-5.5e3"][..]),
            (r#"So {"name":"Ada \"X\" \\"} it is"#, &[r#"Ada \"X\" \\"#]),
            (r#"{"a": "{\"name\": \"Ada\", \"salary\": 7}"}"#, &["Ada", "7"]),
            (r#"{"a": "{\n  \"name\":\n \"A\\\"da\\\\\"}", "name": "B"}"#, &[r#"A\\\"da\\\\"#, "B"]),
            (
                r#"{"home": {"street": "Kai 1", "no": [7, "b"], "x": null}, "street": "Z"}"#,
                &["Kai 1", "7", "b"],
            ),
            (r#"{"name_full": "Ada L", "names": "no", "name": ["x", true]}"#, &["Ada L", "x"]),
            (r#"{"name": "cut of"#, &["cut of"]),
            (r#"{"name": "", "salary": null, "home": {}, "x": 1}"#, &[]),
            (r#"The "name" is Ada; "name": yes; name: "Ada""#, &[]),
            ("{\"home\": [1, 2", &["1", "2"]),
            ("{\"home\": {\"a\": [[\"b\"", &["b"]),
        ] {
            assert_eq!(found(text), values, "{text}");
        }
    }

    #[test]
    fn a_tool_has_its_own_names_as_well() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let declared = Declared::new(
            set(&["name"]),
            [("a".to_owned(), set(&["note"])), ("b".to_owned(), set(&[]))].into(),
        );
        assert!(declared.of_tool("a").contains("note") && declared.of_tool("a").contains("name"));
        assert!(!declared.of_tool("b").contains("note") && !declared.everywhere().contains("note"));
        assert!(Declared::default().everywhere().is_empty());
    }
}
