//! Drafts, changesets, candidates, releases, channels, events and audit.
//!
//! Each use case is one [`Action`]: check the right, act, append event and audit row in the same transaction. The
//! command line, HTTP and the scheduler call the same ones through [`Engine::run`].
//!
//! Invariants:
//! - Objects are durable before the transaction that names them commits.
//! - A transaction of this room commits only through `Scope::commit`, which appends its events and audit row.
//! - This room does not know what a schema is; it asks its [`Judge`].

mod access;
mod artifacts;
mod candidates;
mod changesets;
mod channels;
mod drafts;
mod engine;
mod error;
mod events;
mod reads;
mod view;

pub use access::keys::{
    Access, CreateKey, CreatePreview, CreateTenant, CreatedKey, KeyRing, KnownKey, RevokeKey, split_key,
};
pub use artifacts::bundles::ImportBundle;
pub use artifacts::collect::{CollectGarbage, Collected};
pub use artifacts::definitions::{PushDefinitions, Pushed};
pub use artifacts::derived;
pub use ashlar_store::sql::{AuditBreak, AuditRow, EventRow, Place};
pub use candidates::freeze::{ApprovalGiven, Approve, CreateCandidate, DiscardCandidate, Rejudge, Waive};
pub use candidates::preview::{Preview, PreviewDrafts};
pub use changesets::edit::{
    AddToChangeset, CancelSchedule, CreateChangeset, RemoveFromChangeset, ScheduleChangeset,
};
pub use changesets::forecast::{Forecast, Outlook};
pub use changesets::run::Tick;
pub use channels::promote::{Promote, Promoted, RecordPurge, Rollback, RolledBack};
pub use drafts::import::{BATCH_MAX, ImportEntries, Imported, IncomingEntry};
pub use drafts::migrate::{Mapping, MigrateContent, Migrated, RevertMigration};
pub use drafts::write::{DeleteEntry, ENTRY_BYTES_MAX, PutEntry, SetUnpublished};
pub use engine::installation::{Action, ChannelMoved, Ctx, Engine, Location, Scope, new_id};
pub use engine::judge::{
    Approval, Base, Change, ChangeRecord, DeclaredEnd, Judge, JudgeInput, Judgement, RequiredApproval,
};
pub use error::ReleaseError;
pub use events::follow::{Failure, Figures as FollowerFigures, Follower, Target, follow, place_name};
pub use events::kinds::EventFilter;
pub use events::outbox::{FOLLOWER as WEBHOOKS, Outgoing, Round, Sent, TRIES_MAX};
pub use events::receivers;
pub use events::webhooks::{
    CreateWebhook, DeleteWebhook, DeliveryView, EVENT_SCHEMA, ReplayDeliveries, RotateSecret, SecretShown,
    TestWebhook, UpdateWebhook, WEBHOOKS_MAX, WebhookView,
};
pub use reads::{AT_FORMS, At, DraftQuery};
pub use view::{
    CandidateView, ChangesetView, ChannelState, ChannelView, DefinitionChange, DraftView, KeyView, Manifest,
    MigrationView, Page, ReleaseDiff, ReleaseInfo, Verification, VersionView,
};
