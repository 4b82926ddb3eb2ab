//! Placeholders that become values again, within one request.

use std::{
    borrow::{Borrow, Cow},
    collections::HashMap,
};

use super::{Rules, spans::spans};

/// The most values of one request that become placeholders with a number. Further ones share one that does not become a value again.
const VALUES_MAX: usize = 10_000;
/// The longest placeholder, in bytes.
const PLACEHOLDER_MAX: usize = 16;
/// The most backslashes before the quotes around the placeholder of a number.
const SLASHES_MAX: usize = 3;
/// What stands for text that looks like a placeholder itself.
const LITERAL: &str = "TEXT";
/// What placeholders begin with, after the bracket.
const LABELS: [&str; 9] = ["EMAIL_", "PHONE_", "CARD_", "IBAN_", "IP_", "SECRET_", "ID_", "FIELD_", "TEXT_"];

/// The values of one request, by their placeholders. The same value has the same placeholder, so that a model can tell people apart.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    placeholders: HashMap<String, String>,
    /// Placeholders of numbers of JSON, which stand between quotes.
    numbers: HashMap<String, String>,
    values: HashMap<String, Kept>,
    counts: HashMap<&'static str, usize>,
}

/// What a placeholder stands for.
#[derive(Debug, Clone)]
struct Kept {
    value: String,
    /// It was a number of JSON: quotes around the placeholder are not part of the text.
    number: bool,
    label: &'static str,
}

/// The placeholder that a text begins with: its length.
fn placeholder(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('[')?;
    let label = LABELS.into_iter().find(|label| rest.starts_with(label))?;
    let digits = rest[label.len()..].bytes().take_while(u8::is_ascii_digit).count();
    let end = 1 + label.len() + digits;
    ((1..=6).contains(&digits) && text[end..].starts_with(']')).then_some(end + 1)
}

/// How much a quote around the placeholder at `start..end` takes on each side, backslashes included; `None` without one.
fn quotes(text: &str, start: usize, end: usize) -> Option<usize> {
    let before = text[..start].strip_suffix('"')?;
    let slashes = before.bytes().rev().take_while(|byte| *byte == b'\\').count().min(SLASHES_MAX);
    let behind = text[end..].bytes().take_while(|byte| *byte == b'\\').count();
    (behind == slashes && text[end + slashes..].starts_with('"')).then_some(slashes + 1)
}

/// Whether a text may be the beginning of the placeholder of a number, from its opening quote on, and not be all of it.
fn may_become_number(text: &str) -> bool {
    let slashes = text.bytes().take_while(|byte| *byte == b'\\').count();
    let rest = &text[slashes..];
    if slashes > SLASHES_MAX || rest.is_empty() {
        return slashes <= SLASHES_MAX;
    }
    let Some(rest) = rest.strip_prefix('"') else { return false };
    match placeholder(rest) {
        Some(len) => rest.len() - len <= slashes && rest[len..].bytes().all(|byte| byte == b'\\'),
        None => rest.is_empty() || may_become(rest),
    }
}

/// Whether a text may be the beginning of a placeholder.
fn may_become(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else { return false };
    LABELS.into_iter().any(|label| {
        label.starts_with(rest)
            || rest
                .strip_prefix(label)
                .is_some_and(|digits| digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit()))
    })
}

impl Vault {
    /// Whether there is anything to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    fn stand_for(&mut self, label: &'static str, value: &str, number: bool) -> String {
        let known = if number { &mut self.numbers } else { &mut self.placeholders };
        if let Some(known) = known.get(value) {
            return known.clone();
        }
        if self.values.len() >= VALUES_MAX {
            return format!("[{label}]");
        }
        let count = self.counts.entry(label).or_default();
        *count += 1;
        let made = format!("[{label}_{count}]");
        known.insert(value.to_owned(), made.clone());
        self.values.insert(made.clone(), Kept { value: value.to_owned(), number, label });
        made
    }

    /// The values whose placeholders have this label, such as `FIELD`.
    pub fn of_label<'v>(&'v self, label: &'v str) -> impl Iterator<Item = &'v str> {
        self.values.values().filter(move |kept| kept.label == label).map(|kept| kept.value.as_str())
    }

    /// A text with placeholders in the place of values: `[EMAIL_1]`. Text that looks like a placeholder gets one as well, so that it comes
    /// back as it was.
    pub fn redact<'t, 'r>(&mut self, text: &'t str, rules: impl Into<Rules<'r>>) -> Cow<'t, str> {
        self.replaced(text, rules.into(), false)
    }

    /// As [`Self::redact`], for JSON that is restored with [`Self::restore_json`].
    pub fn redact_json<'t, 'r>(&mut self, text: &'t str, rules: impl Into<Rules<'r>>) -> Cow<'t, str> {
        self.replaced(text, rules.into(), true)
    }

    fn replaced<'t>(&mut self, text: &'t str, rules: Rules<'_>, json: bool) -> Cow<'t, str> {
        if rules.kinds.is_empty() {
            return Cow::Borrowed(text);
        }
        let alike: Vec<_> = memchr::memchr_iter(b'[', text.as_bytes())
            .filter_map(|at| placeholder(&text[at..]).map(|len| (at..at + len, LITERAL)))
            .collect();
        let spans = spans(text, rules, &alike, json);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for span in spans {
            out.push_str(&text[at..span.at.start]);
            let value = span.value.as_deref().unwrap_or(&text[span.at.clone()]);
            span.quoted(&self.stand_for(span.label, value, span.number.is_some()), &mut out);
            at = span.at.end;
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// A text with values in the place of placeholders.
    #[must_use]
    pub fn restore<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.restored(text, false)
    }

    /// JSON with values in the place of placeholders inside its strings.
    #[must_use]
    pub fn restore_json<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.restored(text, true)
    }

    fn restored<'t>(&self, text: &'t str, json: bool) -> Cow<'t, str> {
        if self.is_empty() || memchr::memchr(b'[', text.as_bytes()).is_none() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for open in memchr::memchr_iter(b'[', text.as_bytes()) {
            let len = placeholder(&text[open..]).unwrap_or(0);
            let Some(kept) = self.values.get(&text[open..open + len]) else { continue };
            let quotes = if kept.number { quotes(text, open, open + len).unwrap_or(0) } else { 0 };
            // A quote that ended the number before does not begin this one.
            let quotes = if open - quotes < at { 0 } else { quotes };
            out.push_str(&text[at..open - quotes]);
            match json {
                true => push_escaped(&kept.value, &mut out),
                false => out.push_str(&kept.value),
            }
            at = open + len + quotes;
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// Restores a text that comes in pieces. `json`: it is JSON, so values are escaped.
    #[must_use]
    pub fn restorer(&self, json: bool) -> Restorer<&Self> {
        Restorer::new(self, json)
    }
}

/// Where the placeholder of a number may begin that a text does not end, with its quote.
fn number_from(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = text.len().saturating_sub(PLACEHOLDER_MAX + 2 * (SLASHES_MAX + 1));
    while let Some(sign) = bytes.get(at) {
        if matches!(sign, b'"' | b'\\') {
            if may_become_number(&text[at..]) {
                return Some(at);
            }
            // The quote that ends a placeholder begins none.
            let open = at + bytes[at..].iter().take_while(|byte| matches!(byte, b'"' | b'\\')).count();
            let len = text.get(open..).and_then(placeholder).unwrap_or(0);
            if let Some(quotes) = quotes(text, open, open + len).filter(|_| len > 0) {
                at = open + len + quotes;
                continue;
            }
        }
        at += 1;
    }
    None
}

fn push_escaped(value: &str, out: &mut String) {
    match serde_json::to_string(value) {
        Ok(quoted) => out.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()),
        Err(_) => out.push_str(value),
    }
}

/// Restores a text that comes in pieces. A placeholder may be cut between two of them.
#[derive(Debug)]
pub struct Restorer<V> {
    vault: V,
    json: bool,
    /// The beginning of what may be a placeholder.
    held: String,
}

impl<V: Borrow<Vault>> Restorer<V> {
    /// A restorer that borrows a vault, or shares it. `json`: the text is JSON, so values are escaped.
    pub fn new(vault: V, json: bool) -> Self {
        Self { vault, json, held: String::new() }
    }

    /// What can be passed on after this piece.
    pub fn push(&mut self, piece: &str) -> String {
        if self.vault.borrow().is_empty() {
            return piece.to_owned();
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(piece);
        let tail = text.len().saturating_sub(PLACEHOLDER_MAX);
        let open =
            memchr::memrchr(b'[', text.as_bytes()).filter(|open| *open >= tail && may_become(&text[*open..]));
        let number = if self.vault.borrow().numbers.is_empty() { None } else { number_from(&text) };
        if let Some(open) = number.into_iter().chain(open).min() {
            self.held = text.split_off(open);
        }
        self.vault.borrow().restored(&text, self.json).into_owned()
    }

    /// What remains at the end.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        self.vault.borrow().restored(&held, self.json).into_owned()
    }
}
