//! The rows: every operation of the HTTP surface.

use ashlar_model::Right::{Admin, Assist, Define, Evals, Preview, Read, Release, Review, Waive, Write};

use super::operation::{
    Method::{Delete, Get, Patch, Post, Put},
    Operation,
    Scope::{Approval, Calls, Needs, Open, Reads},
};

macro_rules! rows {
    ($($name:ident = $id:literal, $area:literal: $method:ident $path:literal, $scope:expr, $summary:literal, [$($status:literal $why:literal),*];)*) => {
        $(
            #[doc = $summary]
            pub static $name: Operation = Operation {
                id: $id, method: $method, path: $path, area: $area, scope: $scope, summary: $summary,
                problems: &[$(($status, $why)),*],
            };
        )*

        /// Every operation, in the order of the document.
        pub static ALL: &[&Operation] = &[$(&$name),*];
    };
}

rows! {
    GET_DEFINITIONS = "getDefinitions", "definitions": Get "/api/v1/definitions", Needs(Preview),
        "Returns the working definitions.", [];
    PUSH_DEFINITIONS = "pushDefinitions", "definitions": Post "/api/v1/definitions", Needs(Define),
        "Makes files the working definitions.", [422 "The definitions cannot be used; the findings say why."];

    LIST_DRAFTS = "listDrafts", "drafts": Get "/api/v1/entries", Needs(Preview),
        "Lists drafts in the order of type, id and locale.", [];
    IMPORT_DRAFTS = "importDrafts", "drafts": Post "/api/v1/entries", Needs(Write),
        "Writes a batch of up to 5,000 drafts in one transaction.", [];
    GET_DRAFT = "getDraft", "drafts": Get "/api/v1/entries/{type}/{id}", Needs(Preview),
        "Returns a draft with its fields.", [404 "There is no such draft."];
    PUT_DRAFT = "putDraft", "drafts": Put "/api/v1/entries/{type}/{id}", Needs(Write),
        "Writes a draft, or creates it.",
        [409 "The draft has changed since the version that the writer read.", 412 "`If-Match` or `If-None-Match` does not hold."];
    DELETE_DRAFT = "deleteDraft", "drafts": Delete "/api/v1/entries/{type}/{id}", Needs(Write),
        "Marks a draft as deleted. The entry leaves what is served with the next release.",
        [404 "There is no such draft.", 409 "The draft has changed since the version that the writer read.",
         412 "`If-Match` or `If-None-Match` does not hold."];
    LIST_DRAFT_VERSIONS = "listDraftVersions", "drafts": Get "/api/v1/entries/{type}/{id}/history", Needs(Preview),
        "Lists the versions of a draft, newest first.", [404 "There is no such draft."];
    UNPUBLISH_DRAFT = "unpublishDraft", "drafts": Post "/api/v1/entries/{type}/{id}/unpublish", Needs(Write),
        "Takes an entry out of what is served with the next release, or brings it back.", [404 "There is no such draft."];

    LIST_CHANGESETS = "listChangesets", "changesets": Get "/api/v1/changesets", Needs(Preview),
        "Lists changesets, newest first.", [];
    CREATE_CHANGESET = "createChangeset", "changesets": Post "/api/v1/changesets", Needs(Write),
        "Creates a changeset.", [409 "A changeset of this name exists."];
    GET_CHANGESET = "getChangeset", "changesets": Get "/api/v1/changesets/{name}", Needs(Preview),
        "Returns a changeset with its drafts.", [404 "There is no such changeset."];
    ADD_TO_CHANGESET = "addToChangeset", "changesets": Post "/api/v1/changesets/{name}/drafts", Needs(Write),
        "Puts drafts into a changeset.", [404 "There is no such changeset or draft.", 409 "The changeset is not open."];
    REMOVE_FROM_CHANGESET = "removeFromChangeset", "changesets": Delete "/api/v1/changesets/{name}/drafts", Needs(Write),
        "Takes drafts out of a changeset.", [404 "There is no such changeset.", 409 "The changeset is not open."];
    SCHEDULE_CHANGESET = "scheduleChangeset", "changesets": Post "/api/v1/changesets/{name}/schedule", Needs(Release),
        "Sets when a changeset is published and taken down.",
        [404 "There is no such changeset.", 409 "The changeset cannot be scheduled.", 422 "A gate refuses the changeset."];
    CANCEL_SCHEDULE = "cancelSchedule", "changesets": Delete "/api/v1/changesets/{name}/schedule", Needs(Release),
        "Takes a changeset off the schedule.", [404 "There is no such changeset.", 409 "The changeset is not scheduled."];
    LIST_SCHEDULES = "listSchedules", "changesets": Get "/api/v1/schedules", Needs(Preview),
        "Lists planned and failed changesets. Overdue ones say by how much.", [];
    RUN_SCHEDULES = "runSchedules", "changesets": Post "/api/v1/schedules/run", Needs(Release),
        "Runs every schedule that is due.", [];

    CREATE_PREVIEW = "createPreview", "previews": Post "/api/v1/previews", Needs(Preview),
        "Creates a link that shows the pages of the drafts, a changeset or a candidate until it expires.",
        [404 "There is no such changeset or candidate."];

    LIST_CANDIDATES = "listCandidates", "candidates": Get "/api/v1/candidates", Needs(Preview),
        "Lists candidates, newest first.", [];
    CREATE_CANDIDATE = "createCandidate", "candidates": Post "/api/v1/candidates", Needs(Write),
        "Freezes drafts and definitions, and runs the gates.",
        [404 "There is no such changeset.", 409 "There is nothing to freeze."];
    GET_CANDIDATE = "getCandidate", "candidates": Get "/api/v1/candidates/{candidate}", Needs(Preview),
        "Returns a candidate with its gates.", [404 "There is no such candidate."];
    DISCARD_CANDIDATE = "discardCandidate", "candidates": Delete "/api/v1/candidates/{candidate}", Needs(Write),
        "Discards a candidate.", [404 "There is no such candidate.", 409 "The candidate is a release."];
    RUN_GATES = "runGates", "candidates": Post "/api/v1/candidates/{candidate}/gates", Needs(Write),
        "Runs the gates of a candidate again.", [404 "There is no such candidate."];
    APPROVE_CANDIDATE = "approveCandidate", "candidates": Post "/api/v1/candidates/{candidate}/approve", Approval,
        "Approves exactly these changes.",
        [404 "There is no such candidate.", 409 "The approval is not needed, or the caller is an author."];
    WAIVE_GATE = "waiveGate", "candidates": Post "/api/v1/candidates/{candidate}/waive", Needs(Waive),
        "Lets a failed gate through, with a reason.", [404 "There is no such candidate or gate.", 409 "The gate cannot be waived."];
    PROMOTE_CANDIDATE = "promoteCandidate", "candidates": Post "/api/v1/candidates/{candidate}/promote", Needs(Release),
        "Makes a release and points a channel at it.",
        [404 "There is no such candidate or channel.", 409 "Something was released since the candidate was frozen.",
         422 "A gate refuses the candidate; the findings say why."];

    LIST_EVAL_EVIDENCE = "listEvalEvidence", "evals": Get "/api/v1/evals/evidence", Needs(Preview),
        "Lists what runs of eval suites showed, newest first.", [];
    RECORD_EVAL_EVIDENCE = "recordEvalEvidence", "evals": Post "/api/v1/evals/evidence", Needs(Evals),
        "Records a run of an eval suite. Figures and verdict are computed from its replies, and an open candidate is judged again.",
        [404 "There is no such suite, candidate or release.", 409 "The candidate is closed."];

    LIST_RELEASES = "listReleases", "releases": Get "/api/v1/releases", Needs(Preview), "Lists releases, newest first.", [];
    IMPORT_RELEASE = "importRelease", "releases": Post "/api/v1/releases/import", Needs(Release),
        "Makes a candidate of an exported release. The body is the file.", [413 "The file is too large."];
    GET_RELEASE = "getRelease", "releases": Get "/api/v1/releases/{release}", Needs(Preview),
        "Returns a release.", [404 "There is no such release."];
    ROLL_BACK = "rollBack", "releases": Post "/api/v1/releases/{release}/rollback", Needs(Release),
        "Points a channel at an earlier release.", [404 "There is no such release or channel.", 409 "The channel serves it already."];
    DIFF_RELEASES = "diffReleases", "releases": Get "/api/v1/releases/{release}/diff/{other}", Needs(Preview),
        "Compares two releases: entries, fields and definitions.", [404 "There is no such release."];
    VERIFY_RELEASE = "verifyRelease", "releases": Post "/api/v1/releases/{release}/verify", Needs(Preview),
        "Checks every digest of a release.", [404 "There is no such release.", 500 "The release is damaged."];
    EXPORT_RELEASE = "exportRelease", "releases": Get "/api/v1/releases/{release}/export", Needs(Preview),
        "Returns a release as one verifiable file.", [404 "There is no such release."];
    LIST_CHANNELS = "listChannels", "releases": Get "/api/v1/channels", Needs(Preview), "Lists what every channel serves.", [];

    LIST_PROMPTS = "listPrompts", "prompts": Get "/api/v1/prompts", Needs(Preview),
        "Lists the released prompts and which version of each answers.", [404 "Nothing is released yet."];
    GET_PROMPT = "getPrompt", "prompts": Get "/api/v1/prompts/{name}", Needs(Preview),
        "Returns a version of a released prompt; the active one when none is named.", [404 "There is no such prompt or version."];
    PROMOTE_PROMPT = "promotePrompt", "prompts": Post "/api/v1/prompts/{name}/promote", Needs(Release),
        "Makes a version of a prompt the active one, or gives it to a share of calls, as a release of its own.",
        [404 "There is no such prompt or version.", 409 "The version is active already, or nothing is released yet.",
         422 "A gate refuses the release; the findings say why."];
    ROLL_BACK_PROMPT = "rollBackPrompt", "prompts": Post "/api/v1/prompts/{name}/rollback", Needs(Release),
        "Takes back the last change of which version of a prompt answers, as a release of its own.",
        [404 "There is no such prompt.", 409 "There is nothing to go back to.",
         422 "A gate refuses the release; the findings say why."];

    START_EVAL = "startEvalRun", "evals": Post "/api/v1/evals/runs", Needs(Release),
        "Starts a run of an eval suite. The nodes of the installation ask its cases.",
        [404 "There is no such suite, release, candidate or channel.", 409 "Too many runs are going on."];
    LIST_EVALS = "listEvalRuns", "evals": Get "/api/v1/evals/runs", Needs(Preview), "Lists runs of eval suites, newest first.", [];
    GET_EVAL = "getEvalRun", "evals": Get "/api/v1/evals/runs/{run}", Needs(Preview),
        "Returns a run: how far it is, and what came of it.", [404 "There is no such run."];
    CANCEL_EVAL = "cancelEvalRun", "evals": Post "/api/v1/evals/runs/{run}/cancel", Needs(Release),
        "Stops a run. What came back stays.", [404 "There is no such run.", 409 "The run has ended already."];
    GET_EVAL_METRICS = "getEvalMetrics", "evals": Get "/api/v1/evals/runs/{run}/metrics.json", Needs(Preview),
        "Returns the figures of a run that has ended, and of each case what a later run is compared with.",
        [404 "There is no such run.", 409 "The run has no figures: it goes on, or was cancelled."];
    GET_EVAL_REPORT = "getEvalReport", "evals": Get "/api/v1/evals/runs/{run}/report.html", Needs(Preview),
        "Returns the report of a run as a page, also while it goes on.",
        [404 "There is no such run, or its answers were deleted."];

    RUN_TASK = "runTask", "assist": Post "/api/v1/assist/{task}", Needs(Assist),
        "Lets a model do a task of `assist.toml`. What it writes is a draft in a changeset of its own.",
        [404 "There is no such task or entry.", 409 "Tasks are stopped, the task was used up today, or a person has changed the entry.",
         422 "The answer of the model cannot be used; nothing was written.", 502 "No target answered."];
    GET_ASSIST_SWITCH = "getAssistSwitch", "assist": Get "/api/v1/assist/switch", Needs(Preview),
        "Tells whether tasks are stopped, and how often each was used today.", [];
    SET_ASSIST_SWITCH = "setAssistSwitch", "assist": Put "/api/v1/assist/switch", Needs(Release),
        "Stops the tasks of the tenant on all nodes, or starts them again.", [];
    LIST_RELEASED_TEXTS = "listReleasedTexts", "assist": Get "/api/v1/assist/releases/{release}", Needs(Preview),
        "Lists entries of a release that models wrote something of, with their provenance.", [404 "There is no such release."];

    LIST_CONSUMERS = "listConsumers", "consumers": Get "/api/v1/consumers", Needs(Preview),
        "Lists consumers and whether what is live keeps what they rely on.", [404 "Nothing is released yet."];
    VERIFY_CONSUMER = "verifyConsumer", "consumers": Post "/api/v1/consumers/verify", Needs(Preview),
        "Tells whether a client with this contract may be deployed beside what is live.", [404 "Nothing is released yet."];

    LIST_WEBHOOKS = "listWebhooks", "webhooks": Get "/api/v1/webhooks", Needs(Admin),
        "Lists webhooks, oldest first, without their secrets.", [];
    CREATE_WEBHOOK = "createWebhook", "webhooks": Post "/api/v1/webhooks", Needs(Admin),
        "Creates a webhook. The answer shows its secret once.", [409 "There are too many webhooks."];
    GET_WEBHOOK = "getWebhook", "webhooks": Get "/api/v1/webhooks/{id}", Needs(Admin),
        "Returns a webhook with how many deliveries wait, arrived and failed.", [404 "There is no such webhook."];
    UPDATE_WEBHOOK = "updateWebhook", "webhooks": Patch "/api/v1/webhooks/{id}", Needs(Admin),
        "Changes a webhook, or switches it off and on.", [404 "There is no such webhook."];
    DELETE_WEBHOOK = "deleteWebhook", "webhooks": Delete "/api/v1/webhooks/{id}", Needs(Admin),
        "Removes a webhook with its deliveries.", [404 "There is no such webhook."];
    ROTATE_SECRET = "rotateWebhookSecret", "webhooks": Post "/api/v1/webhooks/{id}/rotate", Needs(Admin),
        "Creates a new secret. The one before signs beside it for 24 hours.", [404 "There is no such webhook."];
    TEST_WEBHOOK = "testWebhook", "webhooks": Post "/api/v1/webhooks/{id}/test", Needs(Admin),
        "Sends an event of the kind `webhook.test`.", [404 "There is no such webhook.", 409 "The webhook is off."];
    LIST_DELIVERIES = "listDeliveries", "webhooks": Get "/api/v1/webhooks/{id}/deliveries", Needs(Admin),
        "Lists deliveries, newest first.", [404 "There is no such webhook."];
    REPLAY_DELIVERIES = "replayDeliveries", "webhooks": Post "/api/v1/webhooks/{id}/replay", Needs(Admin),
        "Sends one delivery again, or all that were given up.", [404 "There is no such webhook or delivery."];

    GET_CACHE = "getCacheFigures", "operations": Get "/api/v1/cache", Needs(Preview),
        "Returns hit ratio, over-purge, purge latency and stale serves of this node since it started.", [];
    GET_SEARCH_STATS = "getSearchStats", "operations": Get "/api/v1/search/stats", Needs(Preview),
        "Returns how well searches do: queries without results, click-through, and how late indexes are.", [];
    LIST_CALLS = "listModelCalls", "operations": Get "/api/v1/llm/calls", Needs(Admin),
        "Lists records of model calls, newest first.", [];
    EXPORT_CALLS = "exportModelCalls", "operations": Get "/api/v1/llm/calls/export", Needs(Admin),
        "Returns records of model calls as NDJSON, each as a span with the GenAI attributes of OpenTelemetry, newest first.", [];
    GET_USAGE = "getModelUsage", "operations": Get "/api/v1/llm/usage", Needs(Preview),
        "Returns what model calls used: calls, tokens and money, by day, feature, key or model.", [];
    LIST_PROVIDERS = "listModelProviders", "operations": Get "/api/v1/llm/providers", Needs(Admin),
        "Lists the providers of models that the tenant may use, with how each does on this node.", [];
    DECIDE_TOOL_CALL = "decideToolCall", "operations": Post "/api/v1/llm/approvals", Approval,
        "Shows, approves or refuses a call of a tool that waits for a person.",
        [409 "The call was decided already.", 422 "The request was changed, belongs to another tenant, or has expired."];
    ERASE_CALLS = "eraseModelCalls", "operations": Delete "/api/v1/llm/users/{user}", Needs(Admin),
        "Deletes the records and reviews of an end user's model calls.", [];
    LIST_REVIEWS = "listReviews", "reviews": Get "/api/v1/reviews", Needs(Review),
        "Lists model calls that people look at, newest first.", [];
    QUEUE_REVIEW = "queueReview", "reviews": Post "/api/v1/reviews", Needs(Admin),
        "Puts a recorded model call into the queue for review, because judges disagree about it.",
        [404 "There is no such call.", 409 "The text of the call is not stored, or it is in the queue already."];
    TAKE_REVIEW = "takeReview", "reviews": Post "/api/v1/reviews/take", Needs(Review),
        "Gives a review to the caller for 20 minutes, so that nobody else works on it.",
        [404 "There is no such review.", 409 "The review is done, taken, or has a verdict of the caller."];
    GET_REVIEW_FIGURES = "getReviewFigures", "reviews": Get "/api/v1/reviews/figures", Needs(Review),
        "Returns what reviews say by feature: wrong answers, escalations, and how far people and checks agree.", [];
    LIST_LABELS = "listReviewLabels", "reviews": Get "/api/v1/reviews/labels", Needs(Review),
        "Lists calls with their final verdicts, newest first.", [];
    GET_REVIEW = "getReview", "reviews": Get "/api/v1/reviews/{call}", Needs(Review),
        "Returns a review with the call. Verdicts of others are hidden until the caller gave one and all are given.",
        [404 "There is no such review."];
    JUDGE_CALL = "judgeModelCall", "reviews": Post "/api/v1/reviews/{call}/verdict", Needs(Review),
        "Gives a verdict on the answer of a model call.",
        [404 "There is no such review.", 409 "The review is done, taken by another person, or has a verdict of the caller."];
    LIST_EVENTS = "listEvents", "operations": Get "/api/v1/events", Needs(Preview), "Lists events, oldest first.", [];
    LIST_AUDIT = "listAudit", "operations": Get "/api/v1/audit", Needs(Admin), "Lists the audit log, newest first.", [];
    VERIFY_AUDIT = "verifyAudit", "operations": Get "/api/v1/audit/verify", Needs(Preview),
        "Checks the chain of the audit log.", [];
    COLLECT_GARBAGE = "collectGarbage", "operations": Post "/api/v1/gc", Needs(Admin), "Deletes unreferenced objects.", [];
    LIST_MIGRATIONS = "listMigrations", "operations": Get "/api/v1/migrations", Needs(Preview),
        "Lists content migrations that were run.", [];
    RUN_MIGRATION = "runMigration", "operations": Post "/api/v1/migrations", Needs(Define),
        "Runs a mapping over every draft of its contract.", [];
    REVERT_MIGRATION = "revertMigration", "operations": Delete "/api/v1/migrations/{number}", Needs(Define),
        "Takes a migration back.", [404 "There is no such migration.", 409 "The migration was reverted already."];

    LIST_KEYS = "listKeys", "access": Get "/api/v1/keys", Needs(Admin), "Lists keys, without secrets.", [];
    CREATE_KEY = "createKey", "access": Post "/api/v1/keys", Needs(Admin),
        "Creates a key. The answer shows its secret once.", [];
    REVOKE_KEY = "revokeKey", "access": Delete "/api/v1/keys/{id}", Needs(Admin), "Ends a key at once.", [404 "There is no such key."];
    LIST_TENANTS = "listTenants", "access": Get "/api/v1/tenants", Needs(Admin), "Lists tenants.", [];
    CREATE_TENANT = "createTenant", "access": Post "/api/v1/tenants", Needs(Admin),
        "Creates a tenant, or sets its host names.", [409 "The caller may not create tenants, or a host name is taken."];

    GET_OPENAPI = "getOpenApi", "descriptions": Get "/api/openapi.json", Open, "Returns this document.", [];
    GET_EVENT_SCHEMA = "getEventSchema", "descriptions": Get "/api/event.v1.json", Open,
        "Returns the JSON Schema of what webhooks receive.", [];
    GET_DELIVERY_OPENAPI = "getDeliveryOpenApi", "descriptions": Get "/openapi.json", Open,
        "Returns the OpenAPI description of the views and entries of the public channel.", [404 "Nothing is released yet."];

    GET_ENTRY = "getEntry", "delivery": Get "/v1/entries/{type}/{id}", Reads,
        "Returns an entry's fields, valid under the contract in `Ashlar-Contract`.", [404 "There is no such entry."];
    LIST_ENTRIES = "listEntries", "delivery": Get "/v1/entries/{type}", Reads,
        "Lists entries of a type, a page at a time. Every indexed field is a filter.", [404 "There is no such type."];
    GET_VIEW = "getView", "delivery": Get "/v1/{view}/{slug}", Reads,
        "Returns the body of a view. `/openapi.json` describes the views of the live release.", [404 "There is no such entry."];
    GET_ROUTE = "getRoute", "delivery": Get "/v1/routes", Reads,
        "Tells what a path of the site shows.", [400 "`path` is missing."];
    SEARCH = "search", "delivery": Get "/v1/search", Reads,
        "Searches the release. Every attribute of `retrieval.toml` is a filter.",
        [400 "The query is missing or too long, or names an index, filter, facet or mode that does not exist.",
         503 "The release has no search index yet, or a part of it cannot be read."];
    SUGGEST = "suggestQueries", "delivery": Get "/v1/search/suggest", Reads,
        "Suggests how the last word of a query may go on. Every attribute of `retrieval.toml` is a filter.",
        [400 "The query is missing or too long, or names an index or filter that does not exist.",
         503 "The release has no search index yet, or a part of it cannot be read."];
    REPORT_CLICK = "reportClick", "delivery": Post "/v1/search/clicks", Reads,
        "Reports which hit of a search somebody followed. Nothing is kept unless `retrieval.toml` asks for a log.",
        [404 "The project does not log searches.", 413 "The body is too large.", 415 "The body is not JSON."];
    QUERY_GRAPHQL = "queryGraphQl", "delivery": Get "/graphql", Reads,
        "Runs a persisted GraphQL document.", [404 "There is no such document.", 405 "A mutation or subscription was sent."];
    POST_GRAPHQL = "postGraphQl", "delivery": Post "/graphql", Reads,
        "Runs a persisted GraphQL document; with the scope `define` also one that is not persisted.",
        [404 "There is no such document.", 413 "The body is too large.", 415 "The body is not JSON."];
    ANSWER_QUESTION = "answerQuestion", "delivery": Post "/v1/answers", Reads,
        "Answers a question with sentences and values of the release, each cited, or refuses with a reason.",
        [413 "The body is too large.", 415 "The body is not JSON.", 503 "The release has no search index yet."];
    FOLLOW_CHANGES = "followChanges", "delivery": Get "/v1/changes", Reads,
        "Streams what is released on the caller's channel as server-sent events.", [404 "Nothing is released yet."];

    CREATE_CHAT_COMPLETION = "createChatCompletion", "llm": Post "/llm/v1/chat/completions", Calls,
        "Goes on with a conversation, in the format of OpenAI.",
        [404 "There is no such model.", 502 "No target answered.", 504 "No target answered in time."];
    CREATE_EMBEDDINGS = "createEmbeddings", "llm": Post "/llm/v1/embeddings", Calls,
        "Turns texts into vectors, in the format of OpenAI.",
        [404 "There is no such model.", 502 "No target answered.", 504 "No target answered in time."];
    LIST_MODELS = "listModels", "llm": Get "/llm/v1/models", Calls, "Lists the routes that a feature may use.", [];
    GET_MODEL = "getModel", "llm": Get "/llm/v1/models/{model}", Calls,
        "Returns a route that a feature may use.", [404 "There is no such model."];
    CREATE_MESSAGE = "createMessage", "llm": Post "/llm/v1/messages", Calls,
        "Goes on with a conversation, in the format of Anthropic.",
        [404 "There is no such model.", 502 "No target answered.", 504 "No target answered in time."];

    MCP = "sendMcpMessage", "mcp": Post "/mcp", Needs(Read),
        "Takes one JSON-RPC message of the Model Context Protocol: tools that search, read, draft and propose.",
        [413 "The message is too large."];

    LIST_TOKEN_SETS = "listTokenSets", "tokens": Get "/v1/tokens", Reads, "Lists sets of design tokens with their versions.", [];
    GET_TOKEN_FILE = "getTokenFile", "tokens": Get "/v1/tokens/{*path}", Reads,
        "Returns one output of a version of design tokens, such as `brand@1.2.0/tokens.css`.",
        [404 "There is no such version or file."];
    PING_REGISTRY = "pingRegistry", "npm": Get "/npm/-/ping", Open, "Answers when the npm registry is there.", [];
    WHO_AM_I = "whoAmI", "npm": Get "/npm/-/whoami", Reads, "Returns the name of the key.", [401 "No key was sent."];
    GET_DIST_TAGS = "getDistTags", "npm": Get "/npm/-/package/{*path}", Reads,
        "Returns the tags of a package, at `NAME/dist-tags`.", [404 "There is no such package."];
    GET_PACKAGE = "getPackage", "npm": Get "/npm/{*path}", Reads,
        "Returns a package's document, one version of it, or its tarball.", [404 "There is no such package."];

    SHOW_PREVIEW = "showPreview", "previews": Get "/preview/{key}/", Open,
        "Lists what a preview changes, with links to its pages.", [404 "There is no such preview, or it has expired."];
    COMPARE_PREVIEW = "comparePreview", "previews": Get "/preview/{key}/-/compare/{*path}", Open,
        "Compares a page of a preview with the live page.", [404 "There is no such preview, or it has expired."];
    SHOW_PREVIEW_PAGE = "showPreviewPage", "previews": Get "/preview/{key}/{*path}", Open,
        "Returns a page of a preview.", [404 "There is no such preview or page.", 422 "The draft is invalid."];

    GET_HEALTH = "getHealth", "operations": Get "/healthz", Open, "Tells whether the process runs.", [];
    GET_READINESS = "getReadiness", "operations": Get "/readyz", Open, "Tells whether the node can do its work.",
        [503 "The node is not ready; `why` says what is wrong."];
    GET_METRICS = "getMetrics", "operations": Get "/metrics", Reads, "Returns figures in the Prometheus text format.", [];
}
