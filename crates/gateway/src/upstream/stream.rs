//! An answer that comes in pieces.

use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{Failed, client::chunk};
use crate::wire::{Event, Fault, FaultKind, SseReader};

/// The most bytes of an answer that comes in pieces.
pub const STREAM_BYTES_MAX: usize = 256 << 20;

/// The events of an answer.
pub struct EventStream {
    provider: String,
    body: Incoming,
    reader: SseReader,
    bytes: usize,
}

impl EventStream {
    pub(super) fn new(provider: &str, body: Incoming) -> Self {
        Self { provider: provider.to_owned(), body, reader: SseReader::default(), bytes: 0 }
    }

    /// The next event that was read already.
    pub fn ready(&mut self) -> Option<Event<'_>> {
        self.reader.next_event()
    }

    /// Waits for more bytes; `false` at the end.
    ///
    /// # Errors
    /// When nothing comes in time, the connection breaks, or there are too many bytes.
    pub async fn more(&mut self, until: Instant) -> Result<bool, Failed> {
        let chunk =
            timeout_at(until, chunk(&mut self.body)).await.map_err(|_| Failed::late(&self.provider))?;
        let Some(chunk) = chunk.map_err(|broken| Failed::connection(&self.provider, broken))? else {
            return Ok(false);
        };
        self.bytes += chunk.len();
        if self.bytes > STREAM_BYTES_MAX {
            let message = format!(
                "the answer of the provider `{}` has more than {STREAM_BYTES_MAX} bytes",
                self.provider
            );
            let fault = Fault::new(FaultKind::Upstream, "upstream_too_large", message);
            return Err(Failed { fault, next: super::Next::Elsewhere });
        }
        self.reader.push(&chunk).map_err(|fault| Failed { fault, next: super::Next::Elsewhere })?;
        Ok(true)
    }

    /// The fault of an answer that ended before it was complete.
    #[must_use]
    pub fn cut(&self) -> Failed {
        let message = format!("the provider `{}` ended its answer before it was complete", self.provider);
        Failed::again(FaultKind::Upstream, "upstream_incomplete", message)
    }
}
