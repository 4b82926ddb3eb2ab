//! Passwords, keys and tokens.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Found, begins};
use crate::config::Kind;

/// How a key goes on after its prefix.
#[derive(Clone, Copy)]
enum Form {
    /// Letters, digits, `_` and `-`: at least so many.
    Token(usize),
    /// Capital letters and digits: exactly so many.
    Capitals(usize),
    /// Three parts of letters, digits, `_` and `-`, separated by points.
    Parts,
    /// Up to the line that ends a private key.
    Pem,
    /// A scheme with a password before the host.
    Address,
    /// A word before a token.
    Bearer,
}

/// What keys begin with.
const PREFIXES: [(&str, Form); 40] = [
    ("sk-", Form::Token(20)),
    ("sk_live_", Form::Token(16)),
    ("sk_test_", Form::Token(16)),
    ("rk_live_", Form::Token(16)),
    ("rk_test_", Form::Token(16)),
    ("whsec_", Form::Token(24)),
    ("AKIA", Form::Capitals(16)),
    ("ASIA", Form::Capitals(16)),
    ("ghp_", Form::Token(36)),
    ("gho_", Form::Token(36)),
    ("ghu_", Form::Token(36)),
    ("ghs_", Form::Token(36)),
    ("ghr_", Form::Token(36)),
    ("github_pat_", Form::Token(22)),
    ("glpat-", Form::Token(20)),
    ("xoxb-", Form::Token(10)),
    ("xoxp-", Form::Token(10)),
    ("xoxa-", Form::Token(10)),
    ("xoxr-", Form::Token(10)),
    ("xoxs-", Form::Token(10)),
    ("xapp-", Form::Token(10)),
    ("AIza", Form::Token(35)),
    ("ya29.", Form::Token(20)),
    ("eyJ", Form::Parts),
    ("-----BEGIN ", Form::Pem),
    ("SG.", Form::Token(20)),
    ("npm_", Form::Token(36)),
    ("pypi-", Form::Token(50)),
    ("hf_", Form::Token(30)),
    ("gsk_", Form::Token(40)),
    ("xai-", Form::Token(40)),
    ("r8_", Form::Token(37)),
    ("dop_v1_", Form::Token(64)),
    ("shpat_", Form::Token(32)),
    ("lin_api_", Form::Token(32)),
    ("glsa_", Form::Token(32)),
    ("ash_", Form::Token(24)),
    ("Bearer ", Form::Bearer),
    ("bearer ", Form::Bearer),
    ("://", Form::Address),
];

/// Words whose value is a secret.
const NAMES: [&[u8]; 10] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"token",
    b"api_key",
    b"api-key",
    b"apikey",
    b"access_key",
    b"accountkey",
];
/// The shortest value that is taken for a secret, in bytes.
const VALUE_MIN: usize = 8;
/// The longest secret that is looked at, in bytes.
const SECRET_MAX: usize = 8_192;

static KEYS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let prefixes = PREFIXES.map(|(prefix, _)| prefix);
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(prefixes).ok()
});

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn count(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().take(SECRET_MAX).take_while(|byte| is(**byte)).count()
}

/// Whether something looks drawn by lot rather than written: it has digits and letters.
fn is_mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Looks for keys by what they begin with.
pub(super) fn with_prefixes(text: &[u8], out: &mut Vec<Found>) {
    let Some(keys) = KEYS.as_ref() else { return };
    for found in keys.find_iter(text) {
        let (_, form) = PREFIXES[found.pattern().as_usize()];
        let (start, after) = (found.start(), found.end());
        let rest = &text[after..];
        let span = match form {
            Form::Token(least) => {
                let dotted = |byte| is_token(byte) || byte == b'.';
                let len = count(rest, dotted);
                // A full stop ends the sentence, not the key.
                let len = len - rest[..len].iter().rev().take_while(|byte| **byte == b'.').count();
                (len >= least && is_mixed(&rest[..len]) && begins(text, start))
                    .then_some((start, after + len))
            }
            Form::Capitals(exactly) => {
                let len = count(rest, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                let alone = !rest.get(len).copied().is_some_and(is_token);
                (len == exactly && alone && begins(text, start)).then_some((start, after + len))
            }
            Form::Parts => {
                let len = count(rest, |byte| is_token(byte) || byte == b'.');
                let whole = &text[start..after + len];
                let parts: Vec<&[u8]> = whole.split(|byte| *byte == b'.').collect();
                let signed = parts.len() == 3
                    && parts[..2].iter().all(|part| part.len() >= 10)
                    && parts[1].starts_with(b"ey");
                (signed && begins(text, start)).then_some((start, start + whole.len()))
            }
            Form::Pem => pem(text, start, after),
            Form::Address => password_of(text, after),
            Form::Bearer => {
                let len = count(rest, |byte| is_token(byte) || b".~+/=".contains(&byte));
                (len >= 20 && is_mixed(&rest[..len])).then_some((after, after + len))
            }
        };
        out.extend(span.map(|(start, end)| Found { kind: Kind::Secret, start, end }));
    }
}

fn pem(text: &[u8], start: usize, after: usize) -> Option<(usize, usize)> {
    let line = &text[after..text.len().min(after + 60)];
    memchr::memmem::find(line, b"PRIVATE KEY-----")?;
    let rest = &text[after..text.len().min(after + SECRET_MAX)];
    let end = memchr::memmem::find(rest, b"-----END ").and_then(|at| {
        let close = memchr::memmem::find(&rest[at + 9..], b"-----")?;
        Some(after + at + 9 + close + 5)
    });
    // Without its end, the rest of what is looked at counts as the key.
    let cut =
        || (after..=after + rest.len()).rev().find(|at| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80));
    Some((start, end.or_else(cut)?))
}

/// The password in an address such as `postgres://user:password@host`.
fn password_of(text: &[u8], after: usize) -> Option<(usize, usize)> {
    let rest = &text[after..text.len().min(after + 512)];
    let len =
        rest.iter().take_while(|byte| !byte.is_ascii_whitespace() && !b"/?#\"'<>`".contains(byte)).count();
    let at = memchr::memrchr(b'@', &rest[..len])?;
    let colon = memchr::memchr(b':', &rest[..at])?;
    let password = &rest[colon + 1..at];
    let given = !password.is_empty() && !password.iter().any(|byte| b"${}*".contains(byte));
    (given && std::str::from_utf8(password).is_ok()).then_some((after + colon + 1, after + at))
}

/// Looks at `=` or `:` after a name such as `password`.
pub(super) fn assigned(text: &[u8], at: usize, out: &mut Vec<Found>) {
    let before = &text[at.saturating_sub(40)..at];
    let trimmed = before
        .iter()
        .rposition(|byte| !b" \t\"'".contains(byte))
        .map_or(&before[..0], |last| &before[..=last]);
    let name = trimmed.to_ascii_lowercase();
    if !NAMES.iter().any(|secret| name.ends_with(secret)) {
        return;
    }
    let mut start = at + 1;
    while start < text.len() && start < at + 5 && b" \t\"'=>".contains(&text[start]) {
        start += 1;
    }
    let quoted = b"\"'".contains(&text[start - 1]);
    let ends_value = |byte: u8| byte.is_ascii_whitespace() || b"\"'`,;&<>()[]{}".contains(&byte);
    let len = count(&text[start..], |byte| !ends_value(byte));
    let value = &text[start..start + len];
    let code = value.iter().any(|byte| b"$*".contains(byte))
        || text.get(start + len).is_some_and(|byte| b"([{<".contains(byte));
    // Without digits, only a password is likely: other names are those of fields and of words as well.
    let phrase = [&b"password"[..], b"passwd", b"passphrase"].iter().any(|word| name.ends_with(word));
    let signs = value.iter().any(|byte| byte.is_ascii_punctuation() && !b"-_./".contains(byte));
    let given = len >= VALUE_MIN && !code && (is_mixed(value) || (quoted && phrase && signs));
    if given && std::str::from_utf8(value).is_ok() {
        out.push(Found { kind: Kind::Secret, start, end: start + len });
    }
}
