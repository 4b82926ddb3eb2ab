//! What becomes of a call, written down as it goes, and what it is charged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::private::Masks;
use crate::{
    policy::{AttemptId, Permit},
    price::{Money, Tokens},
    record::{SOURCE_BYTES_MAX, SOURCES_MAX, TEXT_BYTES_MAX, Text, TextSource},
    review::Sampling,
    upstream::Failed,
    wire::{Fault, FaultKind, Source, Usage},
};

/// How tries fail whose provider began to work.
const WORKED: [&str; 5] = [
    "upstream_timeout",
    "upstream_incomplete",
    "upstream_closed",
    "upstream_malformed",
    "upstream_too_large",
];

/// What became of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The route that the call named, or its prompt.
    pub route: String,
    /// The prompt with its version.
    pub prompt: String,
    /// The provider that answered last.
    pub provider: String,
    /// The model that was asked for, in the provider's words.
    pub model: String,
    /// What the provider calls the model that answered.
    pub answered_by: String,
    /// Routes that were tried before the one that answered.
    pub fell_back: Vec<String>,
    /// How many requests were sent to providers.
    pub attempts: u32,
    /// Which target answered when a second one was asked because the first was slow: `first`, `second`, `none`, or nothing when none was.
    pub hedged: &'static str,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// The status of HTTP.
    pub status: u16,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Tokens of the last attempt so far.
    pub usage: Usage,
    /// Whether the provider reported these tokens.
    pub reported: bool,
    /// Tokens of all attempts, when the call has ended.
    pub tokens: Tokens,
    /// Bytes of text that were answered.
    pub answered_bytes: u64,
    /// What it cost so far.
    pub cost: Money,
    /// The currency; empty when the project has no prices.
    pub currency: String,
    /// How long the first token took, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// How long the call took, in milliseconds.
    pub total_ms: u64,
    /// Chunks of content that the prompt contained.
    pub chunks: Vec<String>,
    /// Tools that the model wanted called.
    pub tools: Vec<String>,
    /// What the cache of answers did: `hit`, `miss`, or nothing.
    pub cache: &'static str,
    /// What checks said of the answer.
    pub verdicts: BTreeMap<String, String>,
    /// Budgets that are nearly used.
    pub soft: Vec<String>,
    /// What was said, redacted, with the days for which it is kept, when the feature asks for it.
    pub text: Option<(Text, u32)>,
    /// Which calls of the feature people look at.
    pub review: Option<Sampling>,
}

/// Receives what became of a call.
pub trait Closing: Send + Sync {
    /// A call has ended, or its client went away. Must not wait.
    fn closed(&self, facts: Facts);
}

/// What is known of one attempt.
#[derive(Default)]
pub(super) struct Attempt {
    /// From 1; 0 when nothing was sent yet.
    number: u32,
    charged: Option<AttemptId>,
    usage: Usage,
    reported: bool,
    pub answered_bytes: u64,
    /// What the provider calls the model that answers.
    pub answered_by: String,
    /// An answer in pieces has begun and is not complete, so figures of the provider may be behind it.
    pub open: bool,
}

impl Attempt {
    /// Figures of the provider.
    pub fn used(&mut self, usage: Usage) {
        (self.usage, self.reported) = (usage, true);
    }

    /// Its tokens, as far as they are known.
    fn tokens(&self, tokens_in: u64) -> Option<Tokens> {
        if self.reported {
            let mut tokens: Tokens = self.usage.into();
            if self.open {
                tokens.output = tokens.output.max(self.answered_bytes.div_ceil(4));
            }
            return Some(tokens);
        }
        (self.answered_bytes > 0).then(|| estimate(tokens_in, self.answered_bytes))
    }
}

/// The facts of a call that goes on, with what it has reserved.
pub(super) struct Ledger {
    pub facts: Facts,
    /// The last attempt, or the one that answered.
    shown: Attempt,
    /// The attempt that runs beside it.
    beside: Option<Attempt>,
    permit: Option<Permit>,
    /// What earlier permits of the call were charged: each round of tools has one.
    earlier: (Money, Tokens),
    tokens_in: u64,
    /// What is replaced in texts that are stored.
    pub masks: Masks,
    pub started: Instant,
    closing: Option<Arc<dyn Closing>>,
}

/// A ledger that several parts of a call write. With the last of them the call ends.
#[derive(Clone)]
pub(super) struct Noted(Arc<Mutex<Ledger>>);

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input,
            cached_input: usage.cached_input,
            cache_write: usage.cache_write,
            output: usage.output,
        }
    }
}

impl Noted {
    pub fn new(tokens_in: u64, closing: Option<Arc<dyn Closing>>) -> Self {
        let ledger = Ledger {
            facts: Facts::default(),
            shown: Attempt::default(),
            beside: None,
            permit: None,
            earlier: (Money::ZERO, Tokens::default()),
            tokens_in,
            masks: Masks::default(),
            started: Instant::now(),
            closing,
        };
        Self(Arc::new(Mutex::new(ledger)))
    }

    /// Writes something down.
    pub fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The facts as they are now.
    pub fn facts(&self) -> Facts {
        self.note(|ledger| {
            ledger.report();
            let open = ledger.permit.as_ref().map(Permit::cost).unwrap_or_default();
            ledger.facts.cost = ledger.earlier.0.plus(open);
            ledger.show();
            ledger.facts.clone()
        })
    }

    /// Notes what must not leave in an answer.
    pub fn leaked(&self, verdict: &str) {
        self.note(|ledger| ledger.facts.verdicts.insert("filter".to_owned(), verdict.to_owned()));
    }

    /// Notes how a call ended that has no answer.
    pub fn failed(&self, fault: &Fault) {
        self.note(|ledger| {
            ledger.facts.outcome = fault.code.to_string();
            ledger.facts.status = fault.status();
        });
    }
}

impl Ledger {
    /// The call may begin, or go on with another round.
    pub fn admitted(&mut self, permit: Permit, tokens_in: u64) {
        self.facts.soft = permit
            .soft()
            .iter()
            .map(|soft| format!("{} {} {}/{}", soft.row.scope, soft.row.period, soft.used, soft.limit))
            .collect();
        self.close_permit();
        self.permit = Some(permit);
        self.tokens_in = tokens_in;
    }

    /// Ends what the last round has reserved.
    fn close_permit(&mut self) {
        if self.permit.is_none() {
            return;
        }
        self.report();
        // Attempts of another permit have other ids.
        self.shown.charged = None;
        self.beside = None;
        let Some(settled) = self.permit.take().map(Permit::finish) else { return };
        let (cost, tokens) = &mut self.earlier;
        *cost = cost.plus(settled.cost);
        tokens.input = tokens.input.saturating_add(settled.tokens.input);
        tokens.cached_input = tokens.cached_input.saturating_add(settled.tokens.cached_input);
        tokens.cache_write = tokens.cache_write.saturating_add(settled.tokens.cache_write);
        tokens.output = tokens.output.saturating_add(settled.tokens.output);
        self.facts.currency = settled.currency;
    }

    /// A request goes to a model; with the number of the attempt. Earlier attempts have ended.
    pub fn sending(&mut self, provider: &str, model: &str) -> u32 {
        self.end_beside();
        self.report();
        if let (Some(permit), Some(earlier)) = (&mut self.permit, self.shown.charged.take()) {
            permit.close(earlier);
        }
        self.facts.provider = provider.to_owned();
        self.facts.model = model.to_owned();
        self.shown = self.begin(provider, model);
        self.shown.number
    }

    /// A request goes to a second model while the first one is waited for; with the number of the attempt. `None`: what it can cost cannot
    /// be reserved, so it must not be sent.
    pub fn sending_beside(&mut self, provider: &str, model: &str) -> Option<u32> {
        if !self.permit.as_mut().is_none_or(Permit::widen) {
            return None;
        }
        let attempt = self.begin(provider, model);
        let number = attempt.number;
        self.beside = Some(attempt);
        self.facts.hedged = "none";
        Some(number)
    }

    fn begin(&mut self, provider: &str, model: &str) -> Attempt {
        self.facts.attempts += 1;
        let charged = self.permit.as_mut().map(|permit| permit.sending(provider, model));
        Attempt { number: self.facts.attempts, charged, ..Attempt::default() }
    }

    /// Of two attempts, one answers. Nobody waits for the other.
    pub fn won(&mut self, number: u32, provider: &str, model: &str) {
        self.facts.hedged = "first";
        if let Some(second) = self.beside.take_if(|beside| beside.number == number) {
            self.facts.hedged = "second";
            self.facts.provider = provider.to_owned();
            self.facts.model = model.to_owned();
            self.beside = Some(std::mem::replace(&mut self.shown, second));
        }
        self.end_beside();
    }

    /// Ends the attempt that runs beside the other with what is known of it.
    fn end_beside(&mut self) {
        let Some(beside) = self.beside.take() else { return };
        let (Some(permit), Some(id)) = (&mut self.permit, beside.charged) else { return };
        if let Some(tokens) = beside.tokens(self.tokens_in) {
            permit.so_far(id, tokens);
        }
        permit.close(id);
    }

    /// The attempt with this number.
    pub fn of(&mut self, number: u32) -> &mut Attempt {
        match &mut self.beside {
            Some(beside) if beside.number == number => beside,
            _ => &mut self.shown,
        }
    }

    /// Whether the figures of the answer are known and final.
    pub fn is_counted(&self) -> bool {
        self.shown.reported && !self.shown.open
    }

    /// The attempt failed. A provider that refused, or was never reached, charges nothing. One that began to work and did not
    /// come to an end charges what is known to have come, and the input.
    pub fn failed(&mut self, number: u32, failed: &Failed) {
        if failed.fault.kind == FaultKind::Refused {
            // The provider answered. What it used is known, or counted when the call ends.
            return;
        }
        let tokens_in = self.tokens_in;
        let attempt = self.of(number);
        let known = WORKED.contains(&failed.fault.code.as_ref()).then(|| {
            attempt.tokens(tokens_in).unwrap_or_else(|| estimate(tokens_in, attempt.answered_bytes))
        });
        let id = attempt.charged;
        let (Some(permit), Some(id)) = (&mut self.permit, id) else { return };
        match known {
            Some(tokens) => permit.so_far(id, tokens),
            None => permit.failed(id),
        }
    }

    /// The text of the call is stored. What is given is redacted already.
    pub fn keep(&mut self, text: Text, days: u32, masks: Masks) {
        self.facts.text = Some((text, days));
        self.masks = masks;
    }

    /// The caller sees this instead of what the model said, with these sources.
    pub fn shows(&mut self, shown: &str, cited: &[Source]) {
        let Some((text, _)) = &mut self.facts.text else { return };
        text.shown = (shown != text.output).then(|| cut(shown, TEXT_BYTES_MAX).to_owned());
        for source in &mut text.sources {
            source.cited = cited.iter().any(|cited| cited.url == source.path && cited.title == source.title);
        }
    }

    /// The answer quotes these sources and uses no other.
    pub fn quotes(&mut self, quoted: &[Source]) {
        let Some((text, _)) = &mut self.facts.text else { return };
        let source = |source: &Source| TextSource {
            title: source.title.clone(),
            path: source.url.clone(),
            text: cut(&source.words, SOURCE_BYTES_MAX).to_owned(),
            cited: true,
        };
        text.sources = quoted.iter().take(SOURCES_MAX).map(source).collect();
    }

    /// Text of the answer.
    pub fn said(&mut self, said: &str) {
        if let Some((text, _)) = &mut self.facts.text
            && text.output.len() < TEXT_BYTES_MAX
        {
            text.output.push_str(said);
        }
    }

    /// Tells the permit what is known.
    fn report(&mut self) {
        let Some(permit) = &mut self.permit else { return };
        for attempt in std::iter::once(&self.shown).chain(&self.beside) {
            if let (Some(id), Some(tokens)) = (attempt.charged, attempt.tokens(self.tokens_in)) {
                permit.so_far(id, tokens);
            }
        }
    }

    /// Writes into the facts what is known of the attempt that is shown.
    fn show(&mut self) {
        let (shown, facts) = (&mut self.shown, &mut self.facts);
        if shown.number > 0 {
            (facts.usage, facts.reported) = (shown.usage, shown.reported);
            facts.answered_bytes = shown.answered_bytes;
            facts.answered_by.clone_from(&shown.answered_by);
        }
    }

    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The beginning of a text that has at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Tokens when a provider reports none: those that the request was taken to have, and one for four bytes of the answer.
fn estimate(tokens_in: u64, answered_bytes: u64) -> Tokens {
    Tokens { input: tokens_in, output: answered_bytes.div_ceil(4), ..Tokens::default() }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.facts.total_ms = self.elapsed_ms();
        self.show();
        if self.permit.is_some() {
            self.close_permit();
            (self.facts.cost, self.facts.tokens) = self.earlier;
        } else {
            self.facts.tokens = self.facts.usage.into();
        }
        if self.facts.outcome.is_empty() {
            // Nothing said how it ended: the client went away.
            (self.facts.outcome, self.facts.status) = ("client_gone".to_owned(), 499);
        }
        if let Some((text, _)) = &mut self.facts.text {
            text.output = self.masks.mask(&text.output);
            text.shown =
                text.shown.take().map(|shown| self.masks.mask(&shown)).filter(|shown| *shown != text.output);
            for source in &mut text.sources {
                source.text = self.masks.mask(&source.text);
            }
        }
        if let Some(closing) = self.closing.take() {
            closing.closed(std::mem::take(&mut self.facts));
        }
    }
}
