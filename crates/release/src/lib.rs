//! Drafts, changesets, candidates, releases, channels, events and audit.
//!
//! Each use case is one [`Action`]: check the right, act, append event and audit row in the same transaction. The
//! command line, HTTP and the scheduler call the same ones through [`Engine::run`].
//!
//! Invariants:
//! - Objects are durable before the transaction that names them commits.
//! - A transaction of this room commits only through `Scope::commit`, which appends its events and audit row.
//! - This room does not know what a schema is; it asks its [`Judge`].

mod bundles;
mod candidates;
mod changesets;
mod definitions;
mod drafts;
mod engine;
mod error;
mod evidence;
mod forecast;
mod gc;
mod health;
mod import;
mod judge;
mod keys;
mod manifest;
mod migrate;
mod modified;
mod objections;
mod outbox;
mod pointers;
mod preview;
mod promote;
mod reads;
pub mod receivers;
mod schedule;
mod secrets;
mod settle;
mod view;
mod webhooks;

pub use ashlar_store::sql::{AuditBreak, AuditRow, EventRow};
pub use bundles::ImportBundle;
pub use candidates::{ApprovalGiven, Approve, CreateCandidate, DiscardCandidate, Rejudge, Waive};
pub use changesets::{
    AddToChangeset, CancelSchedule, CreateChangeset, RemoveFromChangeset, ScheduleChangeset,
};
pub use definitions::{PushDefinitions, Pushed};
pub use drafts::{DeleteEntry, ENTRY_BYTES_MAX, PutEntry, SetUnpublished};
pub use engine::{Action, ChannelMoved, Ctx, Engine, Location, Scope, new_id};
pub use error::ReleaseError;
pub use forecast::{Forecast, Outlook};
pub use gc::{CollectGarbage, Collected};
pub use import::{BATCH_MAX, ImportEntries, Imported, IncomingEntry};
pub use judge::{
    Approval, Base, Change, ChangeRecord, DeclaredEnd, Judge, JudgeInput, Judgement, RequiredApproval,
};
pub use keys::{
    Access, CreateKey, CreatePreview, CreateTenant, CreatedKey, KeyRing, KnownKey, RevokeKey, split_key,
};
pub use migrate::{Mapping, MigrateContent, Migrated, RevertMigration};
pub use outbox::{LEASE, Outgoing, Round, Sent, TRIES_MAX};
pub use preview::{Preview, PreviewDrafts};
pub use promote::{Promote, Promoted, RecordPurge, Rollback, RolledBack};
pub use reads::{AT_FORMS, At, DraftQuery};
pub use schedule::Tick;
pub use view::{
    CandidateView, ChangesetView, ChannelState, ChannelView, DefinitionChange, DraftView, KeyView, Manifest,
    MigrationView, Page, ReleaseDiff, ReleaseInfo, Verification, VersionView,
};
pub use webhooks::{
    CreateWebhook, DeleteWebhook, DeliveryView, EVENT_SCHEMA, EventFilter, ReplayDeliveries, RotateSecret,
    SecretShown, TestWebhook, UpdateWebhook, WEBHOOKS_MAX, WebhookView,
};
