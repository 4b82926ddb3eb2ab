//! State that changes: one set of migrations and queries for SQLite and PostgreSQL.
//!
//! Invariant: a query that touches tenant data is a method of [`Rows`], which carries the tenant; there is no other way
//! to reach a table, so a query without a tenant cannot be written by mistake.

mod assist;
mod candidates;
mod changesets;
mod channels;
mod db;
mod definitions;
mod dialect;
mod drafts;
mod error;
mod eval_cases;
mod eval_runs;
mod evals;
mod followers;
mod keys;
mod llm;
mod log;
mod outbox;
mod reviews;
mod searches;
mod values;

pub use assist::{AssistedRow, AssistedText, SwitchRow};
pub use candidates::{CandidateRow, CandidateStatus, GateRow, MigrationRow, NewCandidate};
pub use changesets::{ChangesetRow, ChangesetState, Claim, ScheduleCounts};
pub use channels::{ChannelRow, ReleaseRow, UnsettledRow};
pub use db::{Db, ReadConn, Rows, WriteTx};
pub use definitions::DefinitionsRow;
pub use dialect::{Dialect, directory};
pub use drafts::{DraftFilter, DraftRow, DraftState, NewVersion, VersionRow};
pub use error::SqlError;
pub use eval_cases::{EvalOutcomeRow, LeasedCase, NewEvalCase};
pub use eval_runs::EvalRunRow;
pub use evals::EvidenceRow;
pub use followers::{Lease, Place};
pub use keys::{KeyRow, NewKey, TenantRow};
pub use llm::{BudgetKey, CallFilter, CallRow, UsageBy, UsageRow};
pub use log::{AuditBreak, AuditRow, EventRow};
pub use outbox::{DeliveryRow, NewDelivery, StoredSecret, TryRow, WebhookRow};
pub use reviews::{ReviewFilter, ReviewRow, ReviewSum, VerdictRow};
pub use searches::{QueryFigures, SearchRow, SearchSums};
pub use values::stamp;
