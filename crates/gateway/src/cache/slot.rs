//! The place of one call in the cache.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ashlar_model::TenantId;
use bytes::Bytes;

use super::{ANSWER_BYTES_MAX, Cache, CacheKey, Stored};
use crate::wire::{Delta, Finish, Picked, Surface, Whole};

/// The most answers of one call that are kept.
const PICKED_MAX: u32 = 128;

/// Where the answer of a call is looked for, and put when it ended well.
#[derive(Clone)]
pub(crate) struct Slot {
    cache: Arc<Cache>,
    tenant: TenantId,
    key: CacheKey,
    time: Duration,
    /// What the provider answered last.
    draft: Arc<Mutex<Option<Stored>>>,
}

/// Whether an answer is complete: text that the model ended itself. Calls of tools are not given again, since they have effects.
fn ended_well(whole: &Whole) -> bool {
    let complete = |picked: &Picked| {
        picked.finish == Finish::Stop
            && picked.refusal.is_none()
            && picked.calls.is_empty()
            && !picked.text.is_empty()
    };
    !whole.picked.is_empty() && whole.picked.iter().all(complete)
}

impl Slot {
    pub fn new(cache: &Arc<Cache>, tenant: &TenantId, key: CacheKey, time: Duration) -> Self {
        Self { cache: cache.clone(), tenant: tenant.clone(), key, time, draft: Arc::default() }
    }

    /// The answer of an equal call.
    pub fn find(&self) -> Option<Arc<Stored>> {
        self.cache.get(&self.tenant, &self.key, Instant::now())
    }

    /// Forgets what was noted, because the model is asked again.
    pub fn begin(&self) {
        *self.draft.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes what a provider answered, before placeholders become values.
    pub fn draft(&self, whole: &Whole, raw: Option<(Surface, Bytes)>, (provider, model): (&str, &str)) {
        let stored = ended_well(whole).then(|| Stored {
            whole: whole.clone(),
            raw,
            provider: provider.to_owned(),
            model: model.to_owned(),
        });
        *self.draft.lock().unwrap_or_else(PoisonError::into_inner) = stored;
    }

    /// Keeps what was noted.
    pub fn keep(&self) {
        if let Some(stored) = self.draft.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.cache.put(&self.tenant, self.key, Arc::new(stored), self.time, Instant::now());
        }
    }
}

/// Collects an answer that comes in pieces, and keeps it when it ended well.
pub(crate) struct Gathering {
    slot: Slot,
    of: (String, String),
    whole: Whole,
    bytes: usize,
}

impl Gathering {
    /// Begins to collect what this model of a provider answers.
    pub fn new(slot: &Slot, provider: &str, model: &str) -> Self {
        Self {
            slot: slot.clone(),
            of: (provider.to_owned(), model.to_owned()),
            whole: Whole::default(),
            bytes: 0,
        }
    }

    fn picked(&mut self, at: u32) -> Option<&mut Picked> {
        let at = (at < PICKED_MAX).then_some(at as usize)?;
        if self.whole.picked.len() <= at {
            // Until its end has come, an answer has not ended well.
            let open = Picked { finish: Finish::Length, ..Picked::default() };
            self.whole.picked.resize(at + 1, open);
        }
        self.whole.picked.get_mut(at)
    }

    fn add(&mut self, delta: &Delta) -> Option<()> {
        match delta {
            Delta::Begin { id, model } => {
                (self.whole.id, self.whole.model) = (id.clone(), model.clone());
            }
            Delta::Text(at, text) => {
                self.bytes += text.len();
                if self.bytes > ANSWER_BYTES_MAX {
                    return None;
                }
                self.picked(*at)?.text.push_str(text);
            }
            Delta::Sources(at, sources) => self.picked(*at)?.sources.extend(sources.iter().cloned()),
            Delta::Finish(at, finish) => self.picked(*at)?.finish = *finish,
            Delta::Usage(usage) => self.whole.usage = *usage,
            Delta::Hidden(_) => {}
            Delta::Refusal(..) | Delta::Tool(..) | Delta::Arguments(..) => return None,
        }
        Some(())
    }

    /// Adds pieces; `None` for an answer that is not kept.
    pub fn with(mut self, deltas: &[Delta]) -> Option<Self> {
        deltas.iter().try_for_each(|delta| self.add(delta))?;
        Some(self)
    }

    /// The answer is complete.
    pub fn keep(self) {
        self.slot.draft(&self.whole, None, (&self.of.0, &self.of.1));
        self.slot.keep();
    }
}
