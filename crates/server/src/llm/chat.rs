//! Conversations and embeddings.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use ashlar_delivery::ReleaseView;
use ashlar_gateway::{
    call::{Caller, Reply, Scene},
    policy::user_hash,
    record::Records,
    wire::{Call, Fault, FaultKind, Surface, anthropic as anthropic_wire, openai as openai_wire},
};
use ashlar_isolate::Workers;
use ashlar_model::{TenantId, TraceId};
use ashlar_release::Access;
use axum::{
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use jiff::Timestamp;

use super::{
    answers::{about, answered, costed, refused},
    doors::trace,
    quotes::{Quotes, busy},
    recording::Recording,
    state::Llm,
};
use crate::app::policies::Policies;

/// Reading, redacting and writing more bytes than these takes so long that it happens in `Workers`.
const LARGE_BYTES: usize = 64 << 10;

/// Reads a request.
async fn read_in<T: Send + 'static>(
    workers: &Workers,
    tenant: &TenantId,
    body: Bytes,
    read: fn(Bytes) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if body.len() <= LARGE_BYTES {
        return read(body);
    }
    workers.run(tenant, move || read(body)).await.map_err(|_| busy())?
}

/// Does in `Workers` what a future does before it waits for the first time, and the rest here.
pub(super) async fn begun_in<F>(workers: &Workers, tenant: &TenantId, future: F) -> Result<F::Output, Fault>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    let mut future: Pin<Box<F>> = Box::pin(future);
    let begun = workers.run(tenant, move || {
        let _entered = runtime.enter();
        // Whoever goes on with it is woken: it is polled again at once.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(out) => Ok(out),
            Poll::Pending => Err(future),
        }
    });
    Ok(match begun.await.map_err(|_| busy())? {
        Ok(out) => out,
        Err(future) => future.await,
    })
}

/// Adds to a call what the tenant may use, who the end user is, and where the record goes.
pub(super) async fn bind(
    (policies, records): (&Policies, &Arc<Records>),
    scene: &mut Scene,
    caller: &mut Caller,
    user: &str,
    operation: &'static str,
) -> Result<(), Fault> {
    let known = policies.of(&caller.tenant).await.map_err(|error| {
        tracing::error!(%error, "the policy of a tenant cannot be read");
        Fault::new(FaultKind::Overloaded, "unavailable", "calls cannot be decided now; try again in a moment")
    })?;
    caller.user = user_hash(&known.secret, user);
    scene.policy = Some(known.policy);
    scene.closing = Some(Arc::new(Recording {
        records: records.clone(),
        caller: caller.clone(),
        release: scene.release.clone(),
        operation,
        began: Timestamp::now(),
    }));
    Ok(())
}

impl Llm {
    /// The release that a caller reads, and what production says about calls.
    pub fn scene(&self, access: &Access) -> Result<(Arc<ReleaseView>, Scene), Fault> {
        let nothing = || {
            let message = "nothing is released in this tenant yet; promote a candidate first";
            Fault::new(FaultKind::Overloaded, "no_release", message)
        };
        let public = self.tenants.public(&access.tenant).ok_or_else(nothing)?;
        let scene = self.scenes.of(&public)?;
        let view = self.releases.of_access(access).map(|resolved| resolved.release).ok_or_else(nothing)?;
        Ok((view, scene))
    }

    /// Adds what the tenant may use, who the end user is, and where the record goes.
    pub(super) async fn bind(
        &self,
        scene: &mut Scene,
        caller: &mut Caller,
        user: &str,
        operation: &'static str,
    ) -> Result<(), Fault> {
        bind((&self.policies, &self.records), scene, caller, user, operation).await
    }

    async fn chat(
        &self,
        request: Request,
        traced: Option<TraceId>,
        read: fn(Bytes) -> Result<Call, Fault>,
    ) -> Result<(Reply, String), (Fault, Option<String>)> {
        let (parts, body) = request.into_parts();
        let alone = |fault| (fault, None);
        let admitted = self.admit(&parts.headers, traced).await.map_err(alone)?;
        let body = self.body(&admitted.access, &parts, body).await.map_err(alone)?;
        let large = body.len() > LARGE_BYTES;
        let call = read_in(&self.workers, &admitted.access.tenant, body, read).await.map_err(alone)?;
        let (view, mut scene) = self.scene(&admitted.access).map_err(alone)?;
        let mut caller = admitted.caller;
        let user = call.user.as_deref().unwrap_or_default();
        self.bind(&mut scene, &mut caller, user, "chat").await.map_err(alone)?;
        let quotes = Quotes {
            view,
            reader: admitted.access.reader.as_deref().map(Arc::from),
            workers: self.workers.clone(),
        };
        let release = scene.release.clone();
        let answered = match large {
            false => self.desk.chat(&scene, &caller, call, &quotes).await,
            true => {
                let (desk, tenant) = (self.desk.clone(), admitted.access.tenant.clone());
                let work = async move { desk.chat(&scene, &caller, call, &quotes).await };
                begun_in(&self.workers, &tenant, work).await.and_then(|answered| answered)
            }
        };
        match answered {
            Ok(reply) => Ok((reply, release)),
            Err(fault) => Err((fault, Some(release))),
        }
    }

    async fn handle(
        &self,
        surface: Surface,
        request: Request,
        read: fn(Bytes) -> Result<Call, Fault>,
    ) -> Response {
        let traced = trace(request.headers());
        let (mut response, release) = match self.chat(request, traced.clone(), read).await {
            Ok((reply, release)) => {
                let mut response = answered(reply.body);
                costed(&mut response, &reply.facts);
                (response, Some(release))
            }
            Err((fault, release)) => (refused(surface, &fault), release),
        };
        about(&mut response, traced.as_ref(), release.as_deref());
        response
    }
}

/// `POST /llm/v1/chat/completions`
pub async fn openai(State(llm): State<Arc<Llm>>, request: Request) -> Response {
    llm.handle(Surface::OpenAi, request, openai_wire::read).await
}

/// `POST /llm/v1/messages`
pub async fn anthropic(State(llm): State<Arc<Llm>>, request: Request) -> Response {
    llm.handle(Surface::Anthropic, request, anthropic_wire::read).await
}

/// `POST /llm/v1/embeddings`
pub async fn embeddings(State(llm): State<Arc<Llm>>, request: Request) -> Response {
    let traced = trace(request.headers());
    let made = async {
        let (parts, body) = request.into_parts();
        let admitted = llm.admit(&parts.headers, traced.clone()).await?;
        let body = llm.body(&admitted.access, &parts, body).await?;
        let tenant = &admitted.access.tenant;
        let asked = read_in(&llm.workers, tenant, body, openai_wire::Embeddings::read).await?;
        let (_, mut scene) = llm.scene(&admitted.access)?;
        let mut caller = admitted.caller;
        let user = asked.user.as_deref().unwrap_or_default();
        llm.bind(&mut scene, &mut caller, user, "embeddings").await?;
        let reply = llm.desk.embed(&scene, &caller, &asked).await?;
        Ok::<_, Fault>((reply, scene.release))
    };
    let (mut response, release) = match made.await {
        Ok((reply, release)) => (answered(reply.body), Some(release)),
        Err(fault) => (refused(Surface::OpenAi, &fault), None),
    };
    about(&mut response, traced.as_ref(), release.as_deref());
    response
}
