//! Calls that this process makes itself. They have the policy, the budgets and the records of calls over HTTP.

use std::sync::Arc;

use ashlar_delivery::ReleaseView;
use ashlar_gateway::{
    call::{Body, Caller, Desk, Facts, Scene},
    record::Records,
    wire::{Fault, FaultKind, openai},
};
use ashlar_isolate::Workers;
use ashlar_model::TenantId;
use ashlar_release::new_id;
use axum::body::Bytes;

use super::{
    chat::{begun_in, bind},
    quotes::{Quotes, busy},
};
use crate::{
    access::new_span,
    app::{policies::Policies, takes},
};

takes! {
    /// Makes calls.
    Inside {
        desk: Arc<Desk>,
        policies: Arc<Policies>,
        records: Arc<Records>,
        workers: Workers,
    }
}

/// Who calls, and what.
pub struct Asked {
    /// The tenant.
    pub tenant: TenantId,
    /// What stands for a key in records and limits.
    pub key: &'static str,
    /// The feature.
    pub feature: String,
    /// The body of a call in the format of OpenAI, without `stream`.
    pub body: Vec<u8>,
}

/// What came back.
pub struct Answered {
    /// The answer in the format of OpenAI.
    pub body: Bytes,
    /// What is known of the call.
    pub facts: Facts,
    /// Its trace.
    pub trace: String,
}

impl Inside {
    /// Makes a call. What it is decided on and what the built-in model quotes is the caller's choice; what it may use is that of the tenant.
    /// Reading, redacting and rendering happen in `Workers`.
    ///
    /// # Errors
    /// When it is refused, or no target answers.
    pub async fn chat(
        &self,
        scene: &Scene,
        view: &Arc<ReleaseView>,
        asked: Asked,
    ) -> Result<Answered, Fault> {
        let Asked { tenant, key, feature, body } = asked;
        let read = self.workers.run(&tenant, move || openai::read(body.into())).await;
        let call = read.map_err(|_| busy())??;
        let trace = new_id().unwrap_or_default();
        let mut caller = Caller {
            tenant: tenant.clone(),
            key: key.to_owned(),
            feature,
            user: String::new(),
            trace: trace.clone(),
            span: new_span(),
            parent: String::new(),
        };
        let mut scene = scene.clone();
        let user = call.user.clone().unwrap_or_default();
        bind((&self.policies, &self.records), &mut scene, &mut caller, &user, "chat").await?;
        let quotes = Quotes { view: view.clone(), reader: None, workers: self.workers.clone() };
        let desk = self.desk.clone();
        let work = async move { desk.chat(&scene, &caller, call, &quotes).await };
        let reply = begun_in(&self.workers, &tenant, work).await??;
        match reply.body {
            Body::Whole(body) => Ok(Answered { body, facts: reply.facts, trace }),
            Body::Stream(_) => {
                Err(Fault::new(FaultKind::Invalid, "invalid_request", "a stream cannot be read here"))
            }
        }
    }
}
