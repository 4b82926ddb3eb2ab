//! The management API: one endpoint per action or read.

mod approvals;
mod assist;
mod candidates;
mod changesets;
mod consumers;
mod definitions;
mod entries;
mod eval_runs;
mod evals;
mod llm;
mod ops;
mod prompts;
mod releases;
mod reviews;
mod search;
mod state;
mod webhooks;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::header,
    middleware,
    response::{IntoResponse, Response},
};
use serde_json::json;

pub use self::state::Api;
use crate::{
    access::around,
    endpoints::{rows, table::Table},
    front::ApiError,
};

async fn nothing_here() -> ApiError {
    ApiError::new(404, "not-found", "there is no such endpoint", "see /api/openapi.json")
}

/// What is said of a method that an address does not have.
pub async fn wrong_method() -> ApiError {
    ApiError::new(
        405,
        "method-not-allowed",
        "the endpoint does not know this method",
        "see /api/openapi.json",
    )
}

/// The operations under `/api`: one line for each row.
/// Long because there are many operations.
pub fn table() -> Table<Api> {
    Table::new()
        .on(&rows::GET_DEFINITIONS, definitions::show)
        .on(&rows::PUSH_DEFINITIONS, definitions::push)
        .on(&rows::LIST_DRAFTS, entries::list)
        .on(&rows::IMPORT_DRAFTS, entries::import)
        .on(&rows::GET_DRAFT, entries::show)
        .on(&rows::PUT_DRAFT, entries::put)
        .on(&rows::DELETE_DRAFT, entries::delete)
        .on(&rows::LIST_DRAFT_VERSIONS, entries::history)
        .on(&rows::UNPUBLISH_DRAFT, entries::unpublish)
        .on(&rows::LIST_CHANGESETS, changesets::list)
        .on(&rows::CREATE_CHANGESET, changesets::create)
        .on(&rows::GET_CHANGESET, changesets::show)
        .on(&rows::ADD_TO_CHANGESET, changesets::add)
        .on(&rows::REMOVE_FROM_CHANGESET, changesets::remove)
        .on(&rows::SCHEDULE_CHANGESET, changesets::schedule)
        .on(&rows::CANCEL_SCHEDULE, changesets::cancel)
        .on(&rows::LIST_SCHEDULES, changesets::schedules)
        .on(&rows::RUN_SCHEDULES, ops::tick)
        .on(&rows::CREATE_PREVIEW, ops::create_preview)
        .on(&rows::LIST_CANDIDATES, candidates::list)
        .on(&rows::CREATE_CANDIDATE, candidates::create)
        .on(&rows::GET_CANDIDATE, candidates::show)
        .on(&rows::DISCARD_CANDIDATE, candidates::discard)
        .on(&rows::RUN_GATES, candidates::gates)
        .on(&rows::APPROVE_CANDIDATE, candidates::approve)
        .on(&rows::WAIVE_GATE, candidates::waive)
        .on(&rows::PROMOTE_CANDIDATE, candidates::promote)
        .on(&rows::LIST_EVAL_EVIDENCE, evals::list)
        .on(&rows::RECORD_EVAL_EVIDENCE, evals::record)
        .on(&rows::LIST_RELEASES, releases::list)
        .on(&rows::IMPORT_RELEASE, releases::import)
        .on(&rows::GET_RELEASE, releases::show)
        .on(&rows::ROLL_BACK, releases::rollback)
        .on(&rows::DIFF_RELEASES, releases::diff)
        .on(&rows::VERIFY_RELEASE, releases::verify)
        .on_and(&rows::EXPORT_RELEASE, releases::export, |about, _| {
            about.bytes("The file.", "application/octet-stream");
        })
        .on(&rows::LIST_CHANNELS, releases::channels)
        .on(&rows::LIST_PROMPTS, prompts::list)
        .on(&rows::GET_PROMPT, prompts::show)
        .on(&rows::PROMOTE_PROMPT, prompts::promote)
        .on(&rows::ROLL_BACK_PROMPT, prompts::rollback)
        .on(&rows::START_EVAL, eval_runs::start)
        .on(&rows::LIST_EVALS, eval_runs::list)
        .on(&rows::GET_EVAL, eval_runs::show)
        .on(&rows::CANCEL_EVAL, eval_runs::cancel)
        .on_and(&rows::GET_EVAL_METRICS, eval_runs::metrics, |about, _| about.object("The figures."))
        .on_and(&rows::GET_EVAL_REPORT, eval_runs::report, |about, _| {
            about.text("The report.", "text/html");
        })
        .on(&rows::RUN_TASK, assist::run)
        .on(&rows::GET_ASSIST_SWITCH, assist::status)
        .on(&rows::SET_ASSIST_SWITCH, assist::switch)
        .on(&rows::LIST_RELEASED_TEXTS, assist::texts)
        .on(&rows::LIST_CONSUMERS, consumers::list)
        .on(&rows::VERIFY_CONSUMER, consumers::verify)
        .on(&rows::LIST_WEBHOOKS, webhooks::list)
        .on(&rows::CREATE_WEBHOOK, webhooks::create)
        .on(&rows::GET_WEBHOOK, webhooks::show)
        .on(&rows::UPDATE_WEBHOOK, webhooks::update)
        .on(&rows::DELETE_WEBHOOK, webhooks::remove)
        .on(&rows::ROTATE_SECRET, webhooks::rotate)
        .on(&rows::TEST_WEBHOOK, webhooks::test)
        .on(&rows::LIST_DELIVERIES, webhooks::deliveries)
        .on(&rows::REPLAY_DELIVERIES, webhooks::replay)
        .on(&rows::GET_CACHE, ops::cache)
        .on(&rows::GET_SEARCH_STATS, search::stats)
        .on(&rows::LIST_CALLS, llm::calls)
        .on_and(&rows::EXPORT_CALLS, llm::export, |about, _| {
            about.bytes("One span in each line.", "application/x-ndjson");
        })
        .on(&rows::GET_USAGE, llm::usage)
        .on(&rows::LIST_PROVIDERS, llm::providers)
        .on(&rows::DECIDE_TOOL_CALL, approvals::decide)
        .on(&rows::ERASE_CALLS, llm::erase)
        .on(&rows::LIST_REVIEWS, reviews::list)
        .on(&rows::QUEUE_REVIEW, reviews::queue)
        .on(&rows::TAKE_REVIEW, reviews::take)
        .on(&rows::GET_REVIEW_FIGURES, reviews::figures)
        .on(&rows::LIST_LABELS, reviews::labels)
        .on(&rows::GET_REVIEW, reviews::show)
        .on(&rows::JUDGE_CALL, reviews::judge)
        .on(&rows::LIST_EVENTS, ops::events)
        .on(&rows::LIST_AUDIT, ops::audit)
        .on(&rows::VERIFY_AUDIT, ops::verify_audit)
        .on(&rows::COLLECT_GARBAGE, ops::gc)
        .on(&rows::LIST_MIGRATIONS, ops::migrations)
        .on(&rows::RUN_MIGRATION, ops::migrate)
        .on(&rows::REVERT_MIGRATION, ops::revert)
        .on(&rows::LIST_KEYS, ops::keys)
        .on(&rows::CREATE_KEY, ops::create_key)
        .on(&rows::REVOKE_KEY, ops::revoke_key)
        .on(&rows::LIST_TENANTS, ops::tenants)
        .on(&rows::CREATE_TENANT, ops::create_tenant)
        .on_and(&rows::GET_OPENAPI, document, |about, _| {
            about.reply(
                200,
                "The document.",
                "application/json",
                json!({"type": "object", "additionalProperties": true}),
            );
        })
        .on_and(&rows::GET_EVENT_SCHEMA, webhooks::schema, |about, _| {
            about.reply(
                200,
                "The schema.",
                "application/schema+json",
                json!({"type": "object", "additionalProperties": true}),
            );
        })
}

async fn document(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], (api.document)()).into_response()
}

/// The routes under `/api`.
pub fn router(api: Api, body_bytes_max: usize) -> Router {
    table()
        .router
        .route("/api/{*rest}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| -> Response {
                ApiError::new(
                    500,
                    "internal",
                    "the request hit a fault of the server",
                    "see the server's log",
                )
                .into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(api.doors.clone(), around))
        .with_state(api)
}
