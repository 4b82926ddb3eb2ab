//! A call that may begin, until it has an answer: rounds of tools, and rounds of repair.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    admit::admit,
    attempt::{self, Got},
    built_in::BuiltIn,
    case::{Caller, Case, Desk, Scene, What},
    ledger::Noted,
    private::Private,
    prompted::{Judged, Prompted},
    rounds::{Next, Rounds},
};
use crate::{
    cache::Slot,
    config::Feature,
    filter::Filter,
    routing::Stage,
    wire::{Call, Fault, FaultKind, Message, Role},
};

/// What a call was decided to be.
pub(super) struct Talk<'a> {
    pub desk: &'a Desk,
    pub scene: &'a Scene,
    pub caller: &'a Caller,
    pub feature: &'a Feature,
    pub released: &'a dyn BuiltIn,
    /// What the built-in model is asked.
    pub question: Option<&'a str>,
    pub prompted: Option<&'a Prompted>,
    pub route: &'a str,
    pub stages: Vec<Stage<'a>>,
    pub point: u64,
    /// The most tokens of an answer.
    pub out_max: u64,
    pub filter: Option<Arc<Filter>>,
    /// Where the answer is kept.
    pub slot: Option<Slot>,
    pub noted: &'a Noted,
}

impl Talk<'_> {
    /// What the built-in model answers from: the indexes of the prompt, else those of the feature.
    fn indexes(&self) -> &[String] {
        let of_prompt = self.prompted.map(Prompted::indexes).filter(|indexes| !indexes.is_empty());
        of_prompt.unwrap_or(self.feature.indexes.names())
    }

    /// One answer of a model.
    async fn asked(&self, call: &Call, private: &Private<'_>) -> Result<Got, Fault> {
        let vault = private.vault();
        if self.feature.text_days > 0 {
            self.noted.note(|ledger| ledger.masks.vault.clone_from(&vault));
        }
        let case = Case {
            caller: self.caller,
            what: What::Chat(call),
            released: Some(self.released),
            question: self.question,
            indexes: self.indexes(),
            vault,
            point: self.point,
            filter: self.filter.clone(),
            slot: self.slot.as_ref(),
            noted: self.noted.clone(),
        };
        attempt::run(self.desk, &case, &self.stages).await
    }

    /// Asks until there is an answer that may be shown.
    pub async fn answer(
        self,
        call: &mut Call,
        mut rounds: Option<Rounds<'_>>,
        mut private: Private<'_>,
    ) -> Result<Got, Fault> {
        let judges = self.prompted.filter(|prompted| prompted.prompt.needs_whole_answer());
        // What is judged, and what may ask for tools, is not shown before it is whole.
        call.stream &= judges.is_none() && rounds.is_none();
        let total = self.stages.first().map(|stage| stage.route.timeout.total).unwrap_or_default();
        let end = Instant::now() + total;
        let mut repairs = 0;
        loop {
            if let Some(rounds) = &mut rounds
                && let Some(got) = rounds.resume(call, &mut private, end).await?
            {
                return Ok(got);
            }
            let mut got = self.asked(call, &private).await?;
            if let Some(rounds) = &mut rounds {
                match rounds.follow(call, got, (&mut private, self.noted), end).await? {
                    Next::Done(done) => got = done,
                    Next::Again => {
                        let tokens = (call.tokens_in(), self.out_max);
                        admit(self.scene, self.caller, self.route, tokens, self.noted).await?;
                        continue;
                    }
                }
            }
            let Some(prompted) = judges else {
                // A stream is kept when it has ended.
                if let (Some(slot), Got::Whole { .. }) = (&self.slot, &got) {
                    slot.keep();
                }
                return Ok(got);
            };
            let Got::Whole { whole, more, .. } = got else {
                return Err(Fault::new(
                    FaultKind::Upstream,
                    "upstream_malformed",
                    "the provider sent pieces where a whole answer was asked for",
                ));
            };
            let said = whole.picked.first().map(|picked| picked.text.clone()).unwrap_or_default();
            match prompted.judge(self.scene, whole, (repairs, more.is_some()), self.noted)? {
                Judged::Shown(whole, judged) => {
                    let answers = whole.picked.iter().all(|picked| picked.refusal.is_none());
                    if let Some(slot) = self.slot.filter(|_| answers) {
                        slot.keep();
                    }
                    return Ok(Got::Whole { whole, raw: None, more: more.or(Some(judged)) });
                }
                Judged::Again(message) => {
                    repairs += 1;
                    let said = [(Role::Assistant, said), (Role::User, message)];
                    private.add(call, said.map(|(role, text)| Message::text(role, text)));
                }
            }
        }
    }
}
