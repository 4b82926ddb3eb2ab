//! Answers of equal calls, given again.

use super::{
    attempt::{Got, restore},
    built_in::BuiltIn,
    case::{Caller, Desk, Scene},
    ledger::Noted,
    prompted::{Judged, Prompted},
};
use crate::{
    cache::{Partition, Slot, exact},
    config::Feature,
    redact::Vault,
    wire::Call,
};

impl Desk {
    /// Where the answer of a call is kept; `None` when its feature keeps none, or the call does not want it.
    pub(super) fn slot(
        &self,
        scene: &Scene,
        (caller, feature): (&Caller, &Feature),
        call: &Call,
        (released, prompted, route): (&dyn BuiltIn, Option<&Prompted>, &str),
    ) -> Option<Slot> {
        let time = feature.cache.exact.filter(|_| call.ashlar.cache != Some(false))?;
        let audience = released.audience();
        let prompt = prompted.map(|prompted| prompted.prompt.label()).unwrap_or_default();
        let partition = Partition {
            tenant: caller.tenant.as_str(),
            audience: &audience,
            feature: &caller.feature,
            release: &scene.release,
            prompt: &prompt,
            route,
        };
        let sources = prompted.map(Prompted::sources).unwrap_or_default();
        Some(Slot::new(&self.cache, &caller.tenant, exact(&partition, call, sources), time))
    }
}

/// The answer of an equal call, with the values of this one. It is judged again, as if it had just come.
pub(super) fn remembered(
    slot: &Slot,
    scene: &Scene,
    call: &Call,
    (prompted, vault): (Option<&Prompted>, Option<&Vault>),
    noted: &Noted,
) -> Option<Got> {
    noted.note(|ledger| ledger.facts.cache = "miss");
    let stored = slot.find()?;
    let mut whole = stored.whole.clone();
    if let Some(vault) = vault {
        restore(&mut whole, vault);
    }
    let mut more = None;
    if let Some(prompted) = prompted.filter(|prompted| prompted.prompt.needs_whole_answer()) {
        let Ok(Judged::Shown(shown, judged)) = prompted.judge(scene, whole, (0, false), noted) else {
            return None;
        };
        (whole, more) = (shown, Some(judged));
    }
    let raw = stored
        .raw
        .as_ref()
        .filter(|(surface, _)| *surface == call.surface && !call.stream && vault.is_none() && more.is_none());
    let raw = raw.map(|(_, raw)| raw.clone());
    noted.note(|ledger| {
        whole.picked.iter().for_each(|picked| ledger.said(&picked.text));
        let facts = &mut ledger.facts;
        facts.cache = "hit";
        (facts.provider, facts.model) = (stored.provider.clone(), stored.model.clone());
        facts.answered_by.clone_from(&whole.model);
        // Nothing is under way that would say so.
        (facts.outcome, facts.status) = ("ok".to_owned(), 200);
    });
    Some(Got::Whole { whole, raw, more })
}
