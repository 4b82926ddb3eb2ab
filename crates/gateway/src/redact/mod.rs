//! Text without what names somebody or opens something: addresses, numbers of people, cards and accounts, keys.
//!
//! A value must have the form of its kind, and its check digits where it has some, so that prose and code stay as they are. Names of people
//! are words like others and stay, unless a field or a variable is declared as personal.

mod fields;
mod national;
mod network;
mod numbers;
mod secrets;
mod spans;
mod values;
mod vault;

use std::{borrow::Cow, collections::BTreeSet};

use self::spans::spans;
pub use self::{
    fields::{Declared, Names},
    values::{TooMany, VALUE_CHARS_MIN, VALUES_BYTES_MAX, VALUES_MAX, Values},
    vault::{Restorer, Vault},
};
use crate::config::Kind;

/// A value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// What is looked for in a text.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Kinds of values. Values and names below are looked for if this has [`Kind::Field`].
    pub kinds: &'a BTreeSet<Kind>,
    /// Names of fields whose values are personal, in JSON.
    pub names: Option<&'a Names>,
    /// Values that are personal wherever they occur.
    pub values: Option<&'a Values>,
}

impl<'a> From<&'a BTreeSet<Kind>> for Rules<'a> {
    fn from(kinds: &'a BTreeSet<Kind>) -> Self {
        Self { kinds, names: None, values: None }
    }
}

/// What a placeholder calls a kind.
const fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "EMAIL",
        Kind::Phone => "PHONE",
        Kind::Card => "CARD",
        Kind::Iban => "IBAN",
        Kind::Ip => "IP",
        Kind::Secret => "SECRET",
        Kind::NationalId => "ID",
        Kind::Field => "FIELD",
    }
}

/// Bytes at which something may be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    None,
    Digit,
    At,
    Colon,
    Equals,
}

static SIGNS: [Sign; 256] = {
    let mut signs = [Sign::None; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        signs[digit as usize] = Sign::Digit;
        digit += 1;
    }
    signs[b'@' as usize] = Sign::At;
    signs[b':' as usize] = Sign::Colon;
    signs[b'=' as usize] = Sign::Equals;
    signs
};

/// Whether a byte continues a word. Bytes of other scripts do.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether a word may begin at a place.
fn begins(text: &[u8], at: usize) -> bool {
    at == 0 || !is_word(text[at - 1])
}

/// Whether a word may end before a place.
fn ends(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !is_word(*byte))
}

/// The values of these kinds in a text, in order. They do not overlap.
#[must_use]
pub fn find(text: &str, kinds: &BTreeSet<Kind>) -> Vec<Found> {
    if kinds.iter().all(|kind| *kind == Kind::Field) {
        return Vec::new();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    if kinds.contains(&Kind::Secret) {
        secrets::with_prefixes(bytes, &mut out);
    }
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| SIGNS[*byte as usize] != Sign::None) {
        at += next;
        at = match SIGNS[bytes[at] as usize] {
            Sign::Digit => numbers::at(bytes, at, &mut out),
            Sign::At => network::email(bytes, at, &mut out),
            Sign::Colon => {
                network::ipv6(bytes, at, &mut out);
                secrets::assigned(bytes, at, &mut out);
                at + 1
            }
            Sign::Equals => {
                secrets::assigned(bytes, at, &mut out);
                at + 1
            }
            Sign::None => at + 1,
        };
    }
    out.retain(|found| kinds.contains(&found.kind));
    // Of two that overlap, the one that begins first; of these, a secret (a password before a host looks like an address), or the longer one.
    out.sort_by_key(|found| (found.start, found.kind != Kind::Secret, usize::MAX - found.end));
    let mut end = 0;
    out.retain(|found| {
        let apart = found.start >= end;
        if apart {
            end = found.end;
        }
        apart
    });
    out
}

/// A text with the kind in the place of each value: `[EMAIL]`. The values cannot be had again.
#[must_use]
pub fn masked<'t, 'r>(text: &'t str, rules: impl Into<Rules<'r>>) -> Cow<'t, str> {
    let spans = spans(text, rules.into(), &[], false);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for span in spans {
        out.push_str(&text[at..span.at.start]);
        span.quoted(&format!("[{}]", span.label), &mut out);
        at = span.at.end;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}
