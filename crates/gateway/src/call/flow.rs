//! An answer on its way from a provider to the client.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::Stream;
use tokio::time::Instant;

use super::ledger::Noted;
use crate::{
    cache::Gathering,
    filter::{Filter, Leak, Strainer},
    redact::{Restorer, Vault},
    upstream::{EventStream, Failed, Kind, Next, Provider},
    wire::{Call, Delta, Event, Fault, FaultKind, Surface, anthropic, openai},
};

/// Writes pieces in the client's format.
pub(super) enum Way {
    OpenAi(openai::Writer),
    Anthropic(anthropic::Writer),
}

impl Way {
    pub fn new(call: &Call) -> Self {
        match call.surface {
            Surface::OpenAi => Self::OpenAi(openai::Writer::new(call.stream_usage)),
            Surface::Anthropic => Self::Anthropic(anthropic::Writer::new(&call.model)),
        }
    }

    pub fn more(&mut self, more: serde_json::Value) {
        match self {
            Self::OpenAi(writer) => writer.more(more),
            Self::Anthropic(writer) => writer.more(more),
        }
    }

    pub fn write(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(writer) => writer.write(delta, out),
            Self::Anthropic(writer) => writer.write(delta, out),
        }
    }

    pub fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(writer) => writer.end(out),
            Self::Anthropic(writer) => writer.end(out),
        }
    }
}

/// Reads the pieces of a provider.
enum Reader {
    OpenAi(openai::Reader),
    Anthropic(anthropic::Reader),
}

impl Reader {
    fn read(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<bool, Fault> {
        match self {
            Self::OpenAi(reader) => reader.read(event, out),
            Self::Anthropic(reader) => reader.read(event, out).map(|()| false),
        }
    }

    fn complete(&self) -> bool {
        match self {
            Self::OpenAi(reader) => reader.complete(),
            Self::Anthropic(reader) => reader.complete(),
        }
    }

    fn done(&self) -> bool {
        match self {
            Self::OpenAi(reader) => reader.done(),
            Self::Anthropic(reader) => reader.done(),
        }
    }
}

/// The pieces of an answer: read, noted, and passed on or written again.
pub(super) struct Flow {
    events: EventStream,
    reader: Reader,
    way: Way,
    /// Events are passed on as they are.
    passes: bool,
    /// The client wants figures of tokens.
    figures: bool,
    surface: Surface,
    noted: Noted,
    /// The number of the attempt that it is the answer of.
    attempt: u32,
    /// Collects the answer for the cache.
    gathering: Option<Gathering>,
    /// What must not leave.
    filter: Option<Arc<Filter>>,
    /// By the answer and the number of the call; `None` for its text.
    strainers: Vec<((u32, Option<u32>), Strainer)>,
    /// What was replaced by placeholders.
    vault: Option<Arc<Vault>>,
    /// By the answer and the number of the call; `None` for its text.
    restorers: Vec<((u32, Option<u32>), Restorer<Arc<Vault>>)>,
    deltas: Vec<Delta>,
    out: Vec<u8>,
    /// Something of the answer itself has come.
    begun: bool,
    ended: bool,
    /// The longest wait for the next piece.
    wait: Duration,
    end: Instant,
}

/// Adds a piece of text or of arguments, unless it is empty.
fn push((at, number): (u32, Option<u32>), text: String, out: &mut Vec<Delta>) {
    match number {
        _ if text.is_empty() => {}
        None => out.push(Delta::Text(at, text)),
        Some(number) => out.push(Delta::Arguments(at, number, text)),
    }
}

/// Writes an event as it was read.
fn pass(event: &Event<'_>, out: &mut Vec<u8>) {
    if !event.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.name.as_bytes());
        out.push(b'\n');
    }
    for line in event.data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

impl Flow {
    pub fn new(
        (call, vault): (&Call, Option<Arc<Vault>>),
        (noted, attempt): (&Noted, u32),
        provider: &Provider,
        events: EventStream,
        passes: bool,
        (wait, end): (Duration, Instant),
    ) -> Self {
        Self {
            events,
            reader: match provider.kind {
                Kind::OpenAi | Kind::Azure => Reader::OpenAi(openai::Reader::default()),
                Kind::Anthropic => Reader::Anthropic(anthropic::Reader::default()),
            },
            way: Way::new(call),
            passes,
            figures: call.stream_usage,
            surface: call.surface,
            noted: noted.clone(),
            attempt,
            gathering: None,
            filter: None,
            strainers: Vec::new(),
            vault,
            restorers: Vec::new(),
            deltas: Vec::new(),
            out: Vec::new(),
            begun: false,
            ended: false,
            wait,
            end,
        }
    }

    /// Keeps the answer when it is complete.
    pub fn gather(&mut self, gathering: Option<Gathering>) {
        self.gathering = gathering;
    }

    /// From now on, what must not leave does not.
    pub fn filter(&mut self, filter: Option<Arc<Filter>>) {
        self.filter = filter;
    }

    /// Replaces the pieces that have come by those that may leave.
    fn strained(&mut self) -> Result<(), Fault> {
        let Some(filter) = self.filter.clone() else { return Ok(()) };
        let came: usize = self.deltas.iter().map(Delta::bytes).sum();
        let deltas = std::mem::take(&mut self.deltas);
        let strained = deltas.into_iter().try_for_each(|delta| self.strain(&filter, delta));
        strained.map_err(|leak| {
            // What came is charged, although it is not passed on.
            self.noted.note(|ledger| ledger.of(self.attempt).answered_bytes += came as u64);
            self.noted.leaked(leak.verdict());
            leak.into()
        })
    }

    fn strain(&mut self, filter: &Filter, delta: Delta) -> Result<(), Leak> {
        let (place, text) = match &delta {
            Delta::Text(at, text) => ((*at, None), text),
            Delta::Arguments(at, number, text) => ((*at, Some(*number)), text),
            Delta::Tool(at, ..) | Delta::Finish(at, _) => {
                for (place, strainer) in self.strainers.iter_mut().filter(|((of, _), _)| of == at) {
                    push(*place, strainer.finish(filter)?, &mut self.deltas);
                    if strainer.masked {
                        self.noted.leaked("masked");
                    }
                }
                self.deltas.push(delta);
                return Ok(());
            }
            Delta::Refusal(_, text) => {
                filter.whole(text)?;
                self.deltas.push(delta);
                return Ok(());
            }
            _ => {
                self.deltas.push(delta);
                return Ok(());
            }
        };
        let known = self.strainers.iter().position(|(of, _)| *of == place).unwrap_or_else(|| {
            self.strainers.push((place, Strainer::default()));
            self.strainers.len() - 1
        });
        let text = self.strainers[known].1.push(filter, text)?;
        push(place, text, &mut self.deltas);
        Ok(())
    }

    /// Handles the events that have come.
    fn pump(&mut self) -> Result<(), Fault> {
        let (mut bytes, mut usage) = (0, None);
        while let Some(event) = self.events.ready() {
            let figures = self.reader.read(&event, &mut self.deltas)?;
            let ends = event.data.as_ref() == b"[DONE]";
            if self.passes && (self.figures || !figures) && !ends {
                pass(&event, &mut self.out);
            }
            self.strained()?;
            self.gathering = self.gathering.take().and_then(|gathering| gathering.with(&self.deltas));
            for delta in self.restored() {
                match &delta {
                    Delta::Begin { model, .. } => {
                        let attempt = self.attempt;
                        self.noted.note(|ledger| ledger.of(attempt).answered_by.clone_from(model));
                    }
                    Delta::Sources(..) => {}
                    Delta::Hidden(hidden) => {
                        bytes += *hidden as u64;
                        self.begun = true;
                    }
                    Delta::Usage(figures) => usage = Some(*figures),
                    Delta::Text(_, text) => {
                        bytes += text.len() as u64;
                        self.begun = true;
                        self.noted.note(|ledger| ledger.said(text));
                    }
                    Delta::Refusal(_, text) | Delta::Arguments(_, _, text) => {
                        bytes += text.len() as u64;
                        self.begun = true;
                    }
                    Delta::Tool(..) | Delta::Finish(..) => self.begun = true,
                }
                if !self.passes {
                    self.way.write(&delta, &mut self.out);
                }
            }
            if self.reader.done() {
                self.finish();
                break;
            }
        }
        if bytes > 0 || usage.is_some() {
            self.noted.note(|ledger| {
                let attempt = ledger.of(self.attempt);
                attempt.answered_bytes += bytes;
                attempt.open = !self.ended;
                if let Some(usage) = usage {
                    attempt.used(usage);
                }
            });
        }
        Ok(())
    }

    /// The pieces that have come, with values in the place of placeholders.
    fn restored(&mut self) -> Vec<Delta> {
        let deltas = std::mem::take(&mut self.deltas);
        let Some(vault) = self.vault.clone() else { return deltas };
        let mut out = Vec::with_capacity(deltas.len());
        for delta in deltas {
            let (place, text) = match &delta {
                Delta::Text(at, text) => ((*at, None), text),
                Delta::Arguments(at, number, text) => ((*at, Some(*number)), text),
                Delta::Tool(at, ..) | Delta::Finish(at, _) => {
                    self.let_go(*at, &mut out);
                    out.push(delta);
                    continue;
                }
                _ => {
                    out.push(delta);
                    continue;
                }
            };
            let known = self.restorers.iter().position(|(of, _)| *of == place).unwrap_or_else(|| {
                self.restorers.push((place, Restorer::new(vault.clone(), place.1.is_some())));
                self.restorers.len() - 1
            });
            let text = self.restorers[known].1.push(text);
            push(place, text, &mut out);
        }
        out
    }

    /// Passes on what was held back of an answer, because it could have become a placeholder.
    fn let_go(&mut self, at: u32, out: &mut Vec<Delta>) {
        for (place, restorer) in self.restorers.iter_mut().filter(|((of, _), _)| *of == at) {
            push(*place, restorer.finish(), out);
        }
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.noted.note(|ledger| {
            (ledger.facts.outcome, ledger.facts.status) = ("ok".to_owned(), 200);
            ledger.of(self.attempt).open = false;
        });
        if let Some(gathering) = self.gathering.take() {
            gathering.keep();
        }
        match (&mut self.way, self.passes) {
            (way, false) => way.end(&mut self.out),
            (Way::OpenAi(_), true) => self.out.extend_from_slice(b"data: [DONE]\n\n"),
            (Way::Anthropic(_), true) => {}
        }
    }

    /// Waits for more, and handles it.
    async fn step(&mut self, until: Instant) -> Result<(), Failed> {
        if self.events.more(until.min(self.end)).await? {
            return self.pump().map_err(|fault| match fault.kind {
                // What must not leave is not asked for again.
                FaultKind::Refused => Failed { fault, next: Next::Stop },
                _ => Failed { fault, next: Next::Again(None) },
            });
        }
        if !self.reader.complete() {
            return Err(self.events.cut());
        }
        self.finish();
        Ok(())
    }

    /// Waits until the answer itself begins. Until then nothing is sent, so the call can be tried elsewhere.
    pub async fn first(&mut self, until: Instant) -> Result<(), Failed> {
        while !self.begun && !self.ended {
            self.step(until).await?;
        }
        self.noted.note(|ledger| ledger.facts.first_token_ms = Some(ledger.elapsed_ms()));
        Ok(())
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.out.is_empty() {
                return Some(std::mem::take(&mut self.out).into());
            }
            if self.ended {
                return None;
            }
            if let Err(failed) = self.step(Instant::now() + self.wait).await {
                tracing::debug!(code = %failed.fault.code, "an answer broke off");
                self.ended = true;
                self.noted.failed(&failed.fault);
                self.out.extend(failed.fault.event(self.surface));
            }
        }
    }

    /// The bytes for the client.
    pub fn stream(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(self, |mut flow| async move {
            let next = flow.next().await?;
            Some((next, flow))
        })
    }
}
