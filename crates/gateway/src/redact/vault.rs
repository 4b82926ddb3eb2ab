//! Placeholders that become values again, within one request.

use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeSet, HashMap},
};

use super::{find, label};
use crate::config::Kind;

/// The most values of one request that become placeholders with a number. Further ones share one that does not become a value again.
const VALUES_MAX: usize = 10_000;
/// The longest placeholder, in bytes.
const PLACEHOLDER_MAX: usize = 16;
/// What stands for text that looks like a placeholder itself.
const LITERAL: &str = "TEXT";
/// What placeholders begin with, after the bracket.
const LABELS: [&str; 8] = ["EMAIL_", "PHONE_", "CARD_", "IBAN_", "IP_", "SECRET_", "ID_", "TEXT_"];

/// The values of one request, by their placeholders. The same value has the same placeholder, so that a model can tell people apart.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    placeholders: HashMap<String, String>,
    values: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

/// The placeholder that a text begins with: its length.
fn placeholder(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('[')?;
    let label = LABELS.into_iter().find(|label| rest.starts_with(label))?;
    let digits = rest[label.len()..].bytes().take_while(u8::is_ascii_digit).count();
    let end = 1 + label.len() + digits;
    ((1..=6).contains(&digits) && text[end..].starts_with(']')).then_some(end + 1)
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

    fn stand_for(&mut self, label: &'static str, value: &str) -> String {
        if let Some(known) = self.placeholders.get(value) {
            return known.clone();
        }
        if self.values.len() >= VALUES_MAX {
            return format!("[{label}]");
        }
        let count = self.counts.entry(label).or_default();
        *count += 1;
        let made = format!("[{label}_{count}]");
        self.placeholders.insert(value.to_owned(), made.clone());
        self.values.insert(made.clone(), value.to_owned());
        made
    }

    /// A text with placeholders in the place of values: `[EMAIL_1]`. Text that looks like a placeholder gets one as well, so that it comes
    /// back as it was.
    pub fn redact<'t>(&mut self, text: &'t str, kinds: &BTreeSet<Kind>) -> Cow<'t, str> {
        if kinds.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut spans: Vec<(usize, usize, &'static str)> =
            find(text, kinds).into_iter().map(|found| (found.start, found.end, label(found.kind))).collect();
        for at in memchr::memchr_iter(b'[', text.as_bytes()) {
            if let Some(len) = placeholder(&text[at..]) {
                spans.push((at, at + len, LITERAL));
            }
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_unstable();
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (start, end, label) in spans {
            if start < at {
                continue;
            }
            out.push_str(&text[at..start]);
            out.push_str(&self.stand_for(label, &text[start..end]));
            at = end;
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
            let Some(value) = self.values.get(&text[open..open + len]) else { continue };
            out.push_str(&text[at..open]);
            match json {
                true => push_escaped(value, &mut out),
                false => out.push_str(value),
            }
            at = open + len;
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
        if let Some(open) = open {
            self.held = text.split_off(open);
        }
        self.vault.borrow().restored(&text, self.json).into_owned()
    }

    /// What remains at the end.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
