//! What became of a call, as a record.

use std::sync::Arc;

use ashlar_gateway::{
    call::{Caller, Closing, Facts},
    record::{Record, Records, Waiting},
};
use jiff::Timestamp;

/// Makes the record of a call when it has ended.
pub struct Recording {
    pub records: Arc<Records>,
    pub caller: Caller,
    pub release: String,
    pub operation: &'static str,
    pub began: Timestamp,
}

impl Closing for Recording {
    fn closed(&self, facts: Facts) {
        let caller = &self.caller;
        let record = Record {
            id: String::new(),
            at: self.began.to_string(),
            trace: caller.trace.clone(),
            span: caller.span.clone(),
            parent: caller.parent.clone(),
            operation: self.operation.to_owned(),
            feature: caller.feature.clone(),
            key: caller.key.clone(),
            user: caller.user.clone(),
            release: self.release.clone(),
            prompt: facts.prompt,
            route: facts.route,
            provider: facts.provider,
            model: facts.model,
            answered_by: facts.answered_by,
            fell_back: facts.fell_back,
            attempts: facts.attempts,
            hedged: facts.hedged.to_owned(),
            outcome: facts.outcome,
            status: facts.status,
            streamed: facts.streamed,
            input_tokens: facts.tokens.input,
            cached_input_tokens: facts.tokens.cached_input,
            cache_write_tokens: facts.tokens.cache_write,
            output_tokens: facts.tokens.output,
            cost: facts.cost,
            currency: facts.currency,
            first_token_ms: facts.first_token_ms,
            total_ms: facts.total_ms,
            cache: facts.cache.to_owned(),
            chunks: facts.chunks,
            tools: facts.tools,
            verdicts: facts.verdicts,
        };
        self.records.add(Waiting {
            tenant: caller.tenant.clone(),
            record,
            text: facts.text,
            review: facts.review,
        });
    }
}
