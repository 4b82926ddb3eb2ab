//! What a call is decided on.

use std::{pin::Pin, sync::Arc};

use ashlar_contracts::ContractSet;
use ashlar_model::TenantId;
use bytes::Bytes;
use futures::Stream;
use http::HeaderValue;

use super::{
    built_in::BuiltIn,
    ledger::{Closing, Facts, Noted},
};
use crate::{
    cache::{Cache, Slot},
    config::Gateway,
    filter::Filter,
    policy::Policy,
    prompts::Prompts,
    redact::{Declared, Vault},
    routing::Breakers,
    tools::Servers,
    upstream::Providers,
    wire::{Call, openai},
};

/// What a release says about calls, and what its tenant may use.
#[derive(Clone)]
pub struct Scene {
    /// Its `gateway.toml`.
    pub gateway: Arc<Gateway>,
    /// Its prompts.
    pub prompts: Arc<Prompts>,
    /// Its contracts.
    pub contracts: Arc<dyn AsRef<ContractSet> + Send + Sync>,
    /// Its fields whose values are personal.
    pub declared: Arc<Declared>,
    /// The name of the release.
    pub release: String,
    /// What the calls of the tenant may use; `None` where nothing is limited.
    pub policy: Option<Policy>,
    /// Receives what became of each call.
    pub closing: Option<Arc<dyn Closing>>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The public part of the key.
    pub key: String,
    /// The feature that the call belongs to.
    pub feature: String,
    /// A hash of the end user; empty when the call names none.
    pub user: String,
    /// The trace of the request.
    pub trace: String,
    /// The span of the call: 16 hexadecimal digits.
    pub span: String,
    /// The span of the client; empty when it names none.
    pub parent: String,
}

impl Caller {
    /// The trace and the span of the call as the header `traceparent` of W3C Trace Context; `None` when it has none.
    pub(super) fn traceparent(&self) -> Option<HeaderValue> {
        let known = !self.trace.is_empty() && !self.span.is_empty();
        known.then(|| HeaderValue::try_from(format!("00-{}-{}-01", self.trace, self.span)).ok())?
    }
}

/// The body of an answer.
pub enum Body {
    /// JSON.
    Whole(Bytes),
    /// Server-sent events.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// An answer that has begun.
pub struct Reply {
    /// What is known of it now.
    pub facts: Facts,
    /// The answer.
    pub body: Body,
}

/// Takes calls.
#[derive(Debug, Default)]
pub struct Desk {
    /// The providers of this node.
    pub providers: Providers,
    /// Tool servers of the operator; without them no tool is run.
    pub servers: Option<Arc<dyn Servers>>,
    /// Targets that failed.
    pub(super) breakers: Breakers,
    /// Answers that are given again.
    pub cache: Arc<Cache>,
}

/// What is asked of a model.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// To go on with a conversation.
    Chat(&'a Call),
    /// To turn texts into vectors.
    Embed(&'a openai::Embeddings),
}

/// A call with all that it is decided on.
pub(super) struct Case<'a> {
    pub caller: &'a Caller,
    pub what: What<'a>,
    /// Answers what goes to the built-in model.
    pub released: Option<&'a dyn BuiltIn>,
    /// What the built-in model is asked, when it is not the last message of the user.
    pub question: Option<&'a str>,
    /// The indexes that it answers from; empty when the release decides.
    pub indexes: &'a [String],
    /// What was replaced by placeholders, when something was.
    pub vault: Option<Arc<Vault>>,
    /// What decides between targets.
    pub point: u64,
    /// What must not leave, when something must not.
    pub filter: Option<Arc<Filter>>,
    /// Where the answer is kept, when it is.
    pub slot: Option<&'a Slot>,
    pub noted: Noted,
}
