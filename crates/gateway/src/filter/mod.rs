//! Answers without what must not leave: secrets, and long parts of the system prompt.
//!
//! An answer may come in pieces. Text that may become a secret, or that repeats the system prompt, is held back until that is decided.

mod leak;
mod prompt;
mod secrets;

use std::collections::BTreeSet;

use self::{prompt::Trail, secrets::Known};
use crate::config::{FilterRules, Kind, OnSecret};

pub use self::leak::{LEAK_WORDS, Leak};

/// The most text of an answer that is held back, in bytes.
pub const HELD_BYTES_MAX: usize = 16 << 10;
/// What replaces a secret.
const MASK: &str = "[SECRET]";
/// How much of what was passed on is looked at again, because it may name what follows, in bytes.
const BEFORE_BYTES: usize = 64;

/// What is looked for in the answers of one call.
#[derive(Debug)]
pub struct Filter {
    secrets: Option<OnSecret>,
    known: Known,
    kinds: BTreeSet<Kind>,
    prompt: Option<prompt::Words>,
}

impl Filter {
    /// What these rules look for; `None` when that is nothing. `keys`: secrets that are known. `system`: the system messages of the call.
    pub fn new<'t>(
        rules: FilterRules,
        keys: impl Iterator<Item = Vec<u8>>,
        system: impl Iterator<Item = &'t str>,
    ) -> Option<Self> {
        let prompt = rules.system_prompt.then(|| prompt::Words::new(system)).flatten();
        if rules.secrets.is_none() && prompt.is_none() {
            return None;
        }
        let known = Known::new(keys.take(if rules.secrets.is_some() { usize::MAX } else { 0 }));
        Some(Self { secrets: rules.secrets, known, kinds: BTreeSet::from([Kind::Secret]), prompt })
    }

    /// A whole text, and whether something was masked.
    ///
    /// # Errors
    /// When the text must not leave.
    pub fn whole(&self, text: &str) -> Result<(String, bool), Leak> {
        let mut strainer = Strainer::default();
        let mut out = strainer.push(self, text)?;
        out.push_str(&strainer.finish(self)?);
        Ok((out, strainer.masked))
    }
}

/// One text of an answer on its way.
#[derive(Debug, Default)]
pub struct Strainer {
    /// The end of what was passed on.
    before: String,
    /// What is held back.
    held: String,
    trail: Trail,
    /// Something was masked.
    pub masked: bool,
}

impl Strainer {
    /// What can be passed on after this piece.
    ///
    /// # Errors
    /// When the text must not leave.
    pub fn push(&mut self, filter: &Filter, piece: &str) -> Result<String, Leak> {
        self.held.push_str(piece);
        self.strain(filter, false)
    }

    /// What remains at the end.
    ///
    /// # Errors
    /// When the text must not leave.
    pub fn finish(&mut self, filter: &Filter) -> Result<String, Leak> {
        self.strain(filter, true)
    }

    fn strain(&mut self, filter: &Filter, ends: bool) -> Result<String, Leak> {
        let mut safe = self.held.len();
        if let Some(words) = &filter.prompt {
            safe = safe.min(self.trail.follow(words, &self.held, ends)?);
        }
        let mut found = Vec::new();
        if let Some(action) = filter.secrets {
            let text = format!("{}{}", self.before, self.held);
            let offset = self.before.len();
            for (start, end) in
                filter.known.all(&text, &filter.kinds).into_iter().filter(|(_, end)| *end > offset)
            {
                let (start, end) = (start.saturating_sub(offset), end - offset);
                // What reaches the end may go on.
                if !ends && end == self.held.len() {
                    safe = safe.min(start);
                } else if action == OnSecret::Refuse {
                    return Err(Leak::Secret);
                } else {
                    found.push((start, end));
                }
            }
            if !ends {
                safe = safe.min(secrets::open(&self.held));
            }
        }
        if self.held.len() - safe > HELD_BYTES_MAX {
            safe = self.held.len() - HELD_BYTES_MAX;
        }
        safe = self.held.floor_char_boundary(safe);
        // A secret is passed on or held back as one.
        if let Some((start, _)) = found.iter().find(|(start, end)| *start < safe && safe < *end) {
            safe = *start;
        }
        let (mut out, mut at) = (String::with_capacity(safe), 0);
        for (start, end) in found.into_iter().filter(|(_, end)| *end <= safe) {
            out.push_str(&self.held[at..start]);
            out.push_str(MASK);
            self.masked = true;
            at = end;
        }
        out.push_str(&self.held[at..safe]);
        self.before.push_str(&self.held[..safe]);
        let cut = self.before.ceil_char_boundary(self.before.len().saturating_sub(BEFORE_BYTES));
        self.before.drain(..cut);
        self.held.drain(..safe);
        self.trail.passed(safe);
        Ok(out)
    }
}
