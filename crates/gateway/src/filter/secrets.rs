//! Secrets in answers: those that are known, and those that look like one.

use std::{collections::BTreeSet, fmt};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{config::Kind, redact::find};

/// The shortest known secret that is looked for, in bytes. Shorter ones are words as well.
const KNOWN_MIN: usize = 8;
/// The longest run of characters that is held back, in bytes.
const RUN_MAX: usize = 8_192;
/// The line that begins a private key has at most so many bytes.
const PEM_LINE_MAX: usize = 80;
/// What begins that line.
const PEM: &[u8] = b"-----BEGIN ";

/// Secrets that are known. They are shown nowhere.
pub(super) struct Known(Option<AhoCorasick>);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    pub fn new(keys: impl Iterator<Item = Vec<u8>>) -> Self {
        let keys: BTreeSet<Vec<u8>> = keys.filter(|key| key.len() >= KNOWN_MIN).collect();
        let build = || AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(keys.iter()).ok();
        Self((!keys.is_empty()).then(build).flatten())
    }

    /// Where secrets are in a text, in order. Those that overlap are one.
    pub fn all(&self, text: &str, kinds: &BTreeSet<Kind>) -> Vec<(usize, usize)> {
        let mut out: Vec<(usize, usize)> =
            find(text, kinds).into_iter().map(|found| (found.start, found.end)).collect();
        if let Some(keys) = &self.0 {
            out.extend(keys.find_iter(text).map(|found| (found.start(), found.end())));
        }
        out.sort_unstable();
        let mut apart: Vec<(usize, usize)> = Vec::with_capacity(out.len());
        for (start, end) in out {
            match apart.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => apart.push((start, end)),
            }
        }
        apart
    }
}

/// Where the end of a text begins that may become a secret: its last characters without a space.
pub(super) fn open(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = bytes.iter().rev().take(RUN_MAX).take_while(|byte| byte.is_ascii_graphic()).count();
    let run = bytes.len() - run;
    let tail = bytes.len().saturating_sub(PEM_LINE_MAX);
    match memchr::memmem::rfind(&bytes[tail..], PEM) {
        Some(at) => run.min(tail + at),
        None => run,
    }
}
