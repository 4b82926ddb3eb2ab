//! Actions: one for each use case, and what they are given.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use ashlar_model::{Actor, Right, TenantId, TraceId};
use ashlar_store::{
    TenantObjects,
    sql::{AuditRow, EventRow, SqlError, WriteTx, stamp},
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::{Engine, ReleaseError, events::kinds::is_kind, new_id};

tokio::task_local! {
    /// Set inside an action: what it runs itself ends with it.
    static WITHIN: ();
}

/// One use case. Every door calls the same one.
#[async_trait]
pub trait Action: Send + Sized + 'static {
    /// What it returns when it is done.
    type Output: Send + 'static;
    /// Its name in the audit log: `entry.put`.
    const NAME: &'static str;

    /// The right its actor must hold.
    fn right(&self) -> Right;

    /// Acts: everything in one transaction that ends in [`Scope::commit`].
    ///
    /// # Errors
    /// When it is refused or could not be done; nothing is changed then.
    async fn act(self, scope: &Scope<'_>) -> Result<Self::Output, ReleaseError>;
}

/// For whom an action or read is done.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The tenant.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: Actor,
    /// The trace it belongs to.
    pub trace: TraceId,
    /// What is held until the last action for this context has ended, such as the tenant's share of a server.
    pub held: Vec<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Ctx {
    /// A context with a fresh trace.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(tenant: TenantId, actor: Actor) -> Result<Self, ReleaseError> {
        let trace = TraceId::new(&new_id()?).map_err(|e| ReleaseError::Task(e.to_string()))?;
        Ok(Self { tenant, actor, trace, held: Vec::new() })
    }
}

impl Engine {
    /// Runs an action for `ctx`. Once it has begun it runs to its end, also when nobody waits for it any more: what follows
    /// a commit, such as writing a pointer, must not be lost with the connection of a client.
    ///
    /// # Errors
    /// When the actor lacks the right, or the action is refused or could not be done.
    pub async fn run<A: Action>(&self, ctx: &Ctx, action: A) -> Result<A::Output, ReleaseError> {
        let right = action.right();
        if !ctx.actor.may(&right) {
            return Err(ReleaseError::Forbidden { actor: ctx.actor.name.clone(), right });
        }
        if WITHIN.try_with(|()| ()).is_ok() {
            return self.act(ctx, action).await;
        }
        let (engine, of) = (self.clone(), ctx.clone());
        let (give, done) = oneshot::channel();
        self.run_to_the_end(Box::pin(async move {
            // Nobody may be waiting for it any more.
            let _ = give.send(engine.act(&of, action).await);
        }))
        .await?;
        done.await.unwrap_or_else(|_| Err(ReleaseError::Task("the action gave no answer".to_owned())))
    }

    /// Runs something as a task of its own. One type for all actions, so that the task is compiled once.
    async fn run_to_the_end(
        &self,
        acting: Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Result<(), ReleaseError> {
        let acting = WITHIN.scope((), acting);
        self.inner.running.spawn(acting.in_current_span()).await.or_else(|ended| {
            match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(ReleaseError::Task(ended.to_string())),
            }
        })
    }

    async fn act<A: Action>(&self, ctx: &Ctx, action: A) -> Result<A::Output, ReleaseError> {
        let now = self.now();
        let scope = Scope {
            engine: self,
            ctx,
            now,
            at: stamp(now),
            name: A::NAME,
            action: new_id()?,
            relied: OnceLock::new(),
        };
        let done = action.act(&scope).await;
        if let Err(error) = &done {
            self.inner.health.failed(error);
            // When the connection was lost, nobody knows whether the transaction was committed.
            if matches!(error, ReleaseError::Sql(SqlError::Engine(_))) {
                self.mend_soon(&ctx.tenant);
            }
        }
        done
    }

    /// Checks that the actor may read what needs `right`.
    ///
    /// # Errors
    /// When they may not.
    pub fn permit(&self, ctx: &Ctx, right: Right) -> Result<(), ReleaseError> {
        if ctx.actor.may(&right) {
            return Ok(());
        }
        Err(ReleaseError::Forbidden { actor: ctx.actor.name.clone(), right })
    }
}

/// What a running action is given.
pub struct Scope<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// For whom.
    pub ctx: &'a Ctx,
    /// When the action began.
    pub now: Timestamp,
    /// The same, as it is stored.
    pub at: String,
    name: &'static str,
    /// The id of this one action; the same in events, audit and draft versions.
    pub action: String,
    /// Set once the action relies on stored objects. With an object store: up to which round of collections it knows what
    /// may go.
    pub(crate) relied: OnceLock<Option<u64>>,
}

/// What an action leaves in the logs.
pub(crate) struct Record {
    pub subject: String,
    pub data: Value,
    pub events: Vec<(&'static str, String, Value)>,
}

impl Record {
    /// One event that says the same as the audit row.
    pub(crate) fn one(kind: &'static str, subject: impl Into<String>, data: Value) -> Self {
        let subject = subject.into();
        Self { events: vec![(kind, subject.clone(), data.clone())], subject, data }
    }
}

impl Scope<'_> {
    /// The tenant's objects.
    pub(crate) fn objects(&self) -> TenantObjects {
        self.engine.tenant_objects(&self.ctx.tenant)
    }

    /// Who acts.
    pub(crate) fn actor(&self) -> &str {
        &self.ctx.actor.name
    }

    /// Begins the action's transaction.
    pub(crate) async fn begin(&self) -> Result<WriteTx, ReleaseError> {
        Ok(self.engine.db().write(&self.ctx.tenant).await?)
    }

    /// Appends events and the audit row, and commits.
    pub(crate) async fn commit(&self, mut tx: WriteTx, record: Record) -> Result<(), ReleaseError> {
        if tx.names_objects() && self.relied.get().is_none() {
            let why = format!("{} names objects and has not called Scope::rely", self.name);
            return Err(ReleaseError::Task(why));
        }
        let mut rows = tx.rows();
        self.check_relied(&mut rows).await?;
        let event = |(kind, subject, data): (&'static str, String, Value)| {
            debug_assert!(is_kind(kind), "`{kind}` is not among EVENT_KINDS");
            EventRow {
                sequence: 0,
                kind: kind.to_owned(),
                subject,
                data,
                actor: self.actor().to_owned(),
                trace: self.ctx.trace.to_string(),
                action: self.action.clone(),
                at: self.at.clone(),
            }
        };
        let events: Vec<EventRow> = record.events.into_iter().map(event).collect();
        let audit = AuditRow {
            sequence: 0,
            at: self.at.clone(),
            actor: self.actor().to_owned(),
            action_name: self.name.to_owned(),
            action: self.action.clone(),
            subject: record.subject,
            data: record.data,
            trace: self.ctx.trace.to_string(),
        };
        rows.append_log(&events, &audit).await?;
        tx.commit().await?;
        self.engine.health().wrote();
        Ok(())
    }

    /// Does CPU-heavy work when it is the tenant's turn. Not for use inside the action's transaction.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        self.engine.heavy(&self.ctx.tenant, work).await
    }

    /// Runs work that computes or reads files on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        tokio::task::spawn_blocking(work).await.map_err(|e| ReleaseError::Task(e.to_string()))?
    }
}
