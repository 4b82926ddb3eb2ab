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
mod assist;
mod candidates;
mod changesets;
mod channels;
mod definitions;
mod drafts;
mod engine;
mod error;
mod evals;
mod events;
mod llm;
mod page;

pub use access::keys::{
    Access, CreateKey, CreatePreview, CreateTenant, CreatedKey, KeyRing, KeyView, KnownKey, RevokeKey,
    split_key,
};
pub use artifacts::{
    bundles::ImportBundle,
    collect::{CollectGarbage, Collected},
    derived,
    manifest::Manifest,
    verify::Verification,
};
pub use ashlar_store::sql::{AuditBreak, AuditRow, EventRow, Place};
pub use assist::{
    made::{Made, Provenance, SOURCES_MAX, SourceRef},
    read::{AssistStatus, ReleasedText},
    switch::SetAssistSwitch,
    write::WriteAssisted,
};
pub use candidates::{
    approve::{ApprovalGiven, Approve, Waive},
    evals::{EvidenceView, RUN_BYTES_MAX, RecordEvidence, RecordedEvidence, RunOf},
    freeze::CreateCandidate,
    judge::{DiscardCandidate, Rejudge},
    preview::{Preview, PreviewDrafts},
    view::CandidateView,
};
pub use changesets::{
    edit::{AddToChangeset, CancelSchedule, CreateChangeset, RemoveFromChangeset, ScheduleChangeset},
    run::Tick,
    view::{ChangesetView, Forecast, Outlook},
};
pub use channels::{
    at::{AT_FORMS, At},
    promote::{Promote, Promoted},
    rollback::{RecordPurge, Rollback, RolledBack},
    state::ChannelState,
    view::{ChannelView, DefinitionChange, ReleaseDiff, ReleaseInfo},
};
pub use definitions::{
    files::read_under,
    push::{PushDefinitions, Pushed},
    revise::{Revise, ReviseDefinitions, Revising, Revision},
};
pub use drafts::{
    fields::ENTRY_BYTES_MAX,
    import::{BATCH_MAX, ImportEntries, Imported, IncomingEntry},
    migrate::{Mapping, MigrateContent, Migrated, RevertMigration},
    read::DraftQuery,
    view::{DraftView, MigrationView, VersionView},
    write::{DeleteEntry, PutEntry, SetUnpublished},
};
pub use engine::{
    action::{Action, Ctx, Scope},
    installation::{ChannelMoved, Engine, Location, new_id},
    judge::{
        Approval, Base, Baseline, Change, ChangeRecord, DeclaredEnd, Judge, JudgeInput, Judgement,
        RequiredApproval, RunNeeded, SuiteRun, Weighed,
    },
};
pub use error::ReleaseError;
pub use evals::runs::{CancelEvalRun, EVAL_REPLIES_MAX, EVAL_RUNS_MAX, EndEvalRun, StartEvalRun};
pub use events::{
    follow::{Failure, Figures as FollowerFigures, Follower, Target, follow, place_name},
    kinds::EventFilter,
    outbox::{FOLLOWER as WEBHOOKS, Outgoing, Round, Sent, TRIES_MAX},
    receivers,
    searches::{LoggedSearch, SEARCH_LOG_ROWS_MAX, SearchStats},
    webhooks::{
        CreateWebhook, DeleteWebhook, DeliveryView, EVENT_SCHEMA, ReplayDeliveries, RotateSecret,
        SecretShown, TestWebhook, UpdateWebhook, WEBHOOKS_MAX, WebhookView,
    },
};
pub use llm::{
    approvals::{DecideToolCall, ToolDecision, ToolRequest},
    budgets::WarnBudget,
    calls::{CallQuery, EraseCalls, ErasedCalls, USAGE_ROWS_MAX},
    ids::call_id,
    reviews::{
        GiveVerdict, QueueReview, REVIEW_DISPUTED, REVIEW_DONE, REVIEW_OPEN, REVIEW_SUMS_MAX,
        REVIEWS_WAITING_MAX, ReviewQuery, SeenReview, VERDICT_TEXT_BYTES_MAX,
    },
};
pub use page::Page;
