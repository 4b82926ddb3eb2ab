CREATE TABLE api_keys (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    hash       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
, reader TEXT NOT NULL DEFAULT '');

CREATE INDEX api_keys_tenant ON api_keys (tenant);

CREATE TABLE approvals (
    tenant     TEXT NOT NULL,
    right_name TEXT NOT NULL,
    change     TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    at         TEXT NOT NULL,
    PRIMARY KEY (tenant, right_name, change, by_name)
);

CREATE TABLE assist_days (
    tenant TEXT   NOT NULL,
    day    TEXT   NOT NULL,
    task   TEXT   NOT NULL,
    used   BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, task)
);

CREATE TABLE assist_switch (
    tenant  TEXT   NOT NULL PRIMARY KEY,
    stopped BIGINT NOT NULL,
    reason  TEXT   NOT NULL,
    at      TEXT   NOT NULL,
    by_name TEXT   NOT NULL
);

CREATE TABLE assisted (
    tenant  TEXT   NOT NULL,
    type    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    locale  TEXT   NOT NULL,
    version BIGINT NOT NULL,
    copied  BIGINT NOT NULL,
    made    TEXT   NOT NULL,
    PRIMARY KEY (tenant, type, id, locale, version)
);

CREATE TABLE "assisted_texts" (
    tenant       TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    requested_by TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    locale       TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (tenant, text, requested_by)
);

CREATE TABLE attempts (
    tenant   TEXT   NOT NULL,
    job      TEXT   NOT NULL,
    begun    BIGINT NOT NULL,
    begun_at TEXT   NOT NULL, owner TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, job)
);

CREATE TABLE audit (
    tenant   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    row_text TEXT   NOT NULL,
    previous TEXT   NOT NULL,
    hash     TEXT   NOT NULL,
    PRIMARY KEY (tenant, sequence)
);

CREATE TABLE candidates (
    tenant      TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    status      TEXT   NOT NULL,
    snapshot    TEXT   NOT NULL,
    definitions TEXT   NOT NULL,
    changes     TEXT   NOT NULL,
    derived     TEXT   NOT NULL,
    base        BIGINT,
    channel     TEXT   NOT NULL,
    changeset   TEXT,
    frozen_at_sequence BIGINT NOT NULL,
    definition_authors TEXT NOT NULL,
    entries     BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    release     BIGINT,
    note        TEXT   NOT NULL,
    created_at  TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (tenant, number)
);

CREATE INDEX candidates_open ON candidates (tenant, status);

CREATE TABLE changesets (
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    title        TEXT NOT NULL,
    state        TEXT NOT NULL,
    publish_at   TEXT,
    unpublish_at TEXT,
    zone         TEXT NOT NULL,
    channel      TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    message      TEXT NOT NULL, due_at TEXT, claimed_by TEXT NOT NULL DEFAULT '', claimed_until TEXT NOT NULL DEFAULT '', checked_at TEXT NOT NULL DEFAULT '', forecast TEXT NOT NULL DEFAULT '', at_risk BIGINT NOT NULL DEFAULT 0, assisted BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, name)
);

CREATE INDEX changesets_due ON changesets (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX changesets_due_of ON changesets (tenant, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE channels (
    tenant   TEXT   NOT NULL,
    channel  TEXT   NOT NULL,
    release  BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    moved_at TEXT   NOT NULL,
    moved_by TEXT   NOT NULL,
    PRIMARY KEY (tenant, channel)
);

CREATE TABLE counters (
    tenant TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    value  BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE definitions (
    tenant    TEXT   NOT NULL,
    sequence  BIGINT NOT NULL,
    digest    TEXT   NOT NULL,
    author    TEXT   NOT NULL,
    pushed_at TEXT   NOT NULL,
    PRIMARY KEY (tenant, sequence)
);

CREATE TABLE deliveries (
    tenant   TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    webhook  TEXT   NOT NULL,
    event    TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    ordering TEXT   NOT NULL,
    payload  TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    attempts BIGINT NOT NULL,
    due_at   TEXT   NOT NULL,
    status   BIGINT NOT NULL,
    error    TEXT   NOT NULL,
    took_ms  BIGINT NOT NULL,
    made_at  TEXT   NOT NULL,
    tried_at TEXT   NOT NULL,
    PRIMARY KEY (tenant, number)
);

CREATE INDEX deliveries_due ON deliveries (tenant, webhook, state, due_at);

CREATE UNIQUE INDEX deliveries_once ON deliveries (tenant, webhook, event);

CREATE INDEX deliveries_order ON deliveries (tenant, webhook, state, ordering, number);

CREATE TABLE draft_versions (
    tenant  TEXT   NOT NULL,
    type    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    locale  TEXT   NOT NULL,
    version BIGINT NOT NULL,
    major   BIGINT NOT NULL,
    state   TEXT   NOT NULL,
    fields  TEXT   NOT NULL,
    changed TEXT   NOT NULL,
    author  TEXT   NOT NULL,
    at      TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    note    TEXT   NOT NULL,
    PRIMARY KEY (tenant, type, id, locale, version)
);

CREATE TABLE drafts (
    tenant        TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    id            TEXT   NOT NULL,
    locale        TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    major         BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    pending       BIGINT NOT NULL,
    clean_version BIGINT NOT NULL,
    sequence      BIGINT NOT NULL,
    changeset     TEXT,
    updated_at    TEXT   NOT NULL,
    updated_by    TEXT   NOT NULL,
    PRIMARY KEY (tenant, type, id, locale)
);

CREATE INDEX drafts_changeset ON drafts (tenant, changeset) WHERE changeset IS NOT NULL;

CREATE INDEX drafts_pending ON drafts (tenant, sequence) WHERE pending = 1;

CREATE TABLE eval_cases (
    tenant       TEXT   NOT NULL,
    run          BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    case_id      TEXT   NOT NULL,
    sample       BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    owner        TEXT   NOT NULL,
    leased_until TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    outcome      TEXT   NOT NULL,
    PRIMARY KEY (tenant, run, number)
);

CREATE INDEX eval_cases_open ON eval_cases (tenant, run, number) WHERE state = 'open';

CREATE TABLE eval_evidence (
    tenant   TEXT   NOT NULL,
    suite    TEXT   NOT NULL,
    inputs   TEXT   NOT NULL,
    complete BIGINT NOT NULL,
    id       BIGINT NOT NULL,
    object   TEXT   NOT NULL,
    asked    TEXT   NOT NULL,
    verdict  TEXT   NOT NULL,
    cases    BIGINT NOT NULL,
    passed   BIGINT NOT NULL,
    producer TEXT   NOT NULL,
    by_name  TEXT   NOT NULL,
    at       TEXT   NOT NULL,
    PRIMARY KEY (tenant, suite, inputs, complete)
);

CREATE INDEX eval_evidence_id ON eval_evidence (tenant, id);

CREATE INDEX eval_evidence_suite ON eval_evidence (tenant, suite, id);

CREATE TABLE eval_runs (
    tenant       TEXT   NOT NULL,
    id           BIGINT NOT NULL,
    suite        TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    definitions  TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    slot         TEXT   NOT NULL,
    settings     TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    verdict      TEXT   NOT NULL,
    why          TEXT   NOT NULL,
    created_at   TEXT   NOT NULL,
    created_by   TEXT   NOT NULL,
    ended_at     TEXT   NOT NULL,
    replies      BIGINT NOT NULL,
    done         BIGINT NOT NULL,
    passed       BIGINT NOT NULL,
    errors       BIGINT NOT NULL,
    cost         BIGINT NOT NULL,
    cost_max     BIGINT NOT NULL,
    ends_by      TEXT   NOT NULL,
    owner        TEXT   NOT NULL,
    leased_until TEXT   NOT NULL,
    summary      TEXT   NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX eval_runs_running ON eval_runs (tenant, id) WHERE state = 'running';

CREATE UNIQUE INDEX eval_runs_slot ON eval_runs (tenant, suite, slot) WHERE slot <> '';

CREATE TABLE events (
    tenant   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    data     TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    trace    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    at       TEXT   NOT NULL,
    PRIMARY KEY (tenant, sequence)
);

CREATE TABLE evidence (
    tenant TEXT NOT NULL,
    gate   TEXT NOT NULL,
    inputs TEXT NOT NULL,
    report TEXT NOT NULL,
    at     TEXT NOT NULL,
    PRIMARY KEY (tenant, gate, inputs)
);

CREATE INDEX evidence_at ON evidence (tenant, at);

CREATE TABLE followers (
    tenant       TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    done         BIGINT NOT NULL,
    inside       TEXT   NOT NULL,
    owner        TEXT   NOT NULL,
    leased_until TEXT   NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE gate_reports (
    tenant    TEXT   NOT NULL,
    candidate BIGINT NOT NULL,
    position  BIGINT NOT NULL,
    gate      TEXT   NOT NULL,
    report    TEXT   NOT NULL,
    PRIMARY KEY (tenant, candidate, gate)
);

CREATE TABLE llm_budgets (
    tenant TEXT   NOT NULL,
    scope  TEXT   NOT NULL,
    period TEXT   NOT NULL,
    unit   TEXT   NOT NULL,
    used   BIGINT NOT NULL,
    PRIMARY KEY (tenant, scope, period, unit)
);

CREATE TABLE llm_calls (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    feature    TEXT NOT NULL,
    key_name   TEXT NOT NULL,
    user_hash  TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    data       TEXT NOT NULL,
    body       TEXT NOT NULL,
    body_until TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX llm_calls_body ON llm_calls (tenant, body_until) WHERE body_until <> '';

CREATE INDEX llm_calls_user ON llm_calls (tenant, user_hash, id) WHERE user_hash <> '';

CREATE TABLE llm_reviews (
    tenant      TEXT   NOT NULL,
    call_id     TEXT   NOT NULL,
    feature     TEXT   NOT NULL,
    user_hash   TEXT   NOT NULL,
    reasons     TEXT   NOT NULL,
    doubtful    BIGINT NOT NULL,
    escalated   BIGINT NOT NULL,
    reviewers   BIGINT NOT NULL,
    given       BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    first       TEXT   NOT NULL,
    second      TEXT   NOT NULL,
    verdict     TEXT   NOT NULL,
    lease_by    TEXT   NOT NULL,
    lease_until TEXT   NOT NULL,
    done_at     TEXT   NOT NULL,
    keep_until  TEXT   NOT NULL,
    data        TEXT   NOT NULL,
    PRIMARY KEY (tenant, call_id)
);

CREATE INDEX llm_reviews_keep ON llm_reviews (tenant, keep_until);

CREATE INDEX llm_reviews_state ON llm_reviews (tenant, state, call_id);

CREATE INDEX llm_reviews_user ON llm_reviews (tenant, user_hash) WHERE user_hash <> '';

CREATE TABLE llm_secrets (
    tenant TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL
);

CREATE TABLE llm_usage (
    tenant        TEXT   NOT NULL,
    day           TEXT   NOT NULL,
    feature       TEXT   NOT NULL,
    key_name      TEXT   NOT NULL,
    model         TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    calls         BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micros        BIGINT NOT NULL,
    picos         BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, feature, key_name, model, currency)
);

CREATE TABLE llm_verdicts (
    tenant   TEXT   NOT NULL,
    call_id  TEXT   NOT NULL,
    reviewer TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    verdict  TEXT   NOT NULL,
    expected TEXT   NOT NULL,
    comment  TEXT   NOT NULL,
    at       TEXT   NOT NULL,
    PRIMARY KEY (tenant, call_id, reviewer)
);

CREATE TABLE migrations_run (
    tenant      TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    mapping     TEXT   NOT NULL,
    drafts      BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    reverted_at TEXT,
    at          TEXT   NOT NULL,
    by_name     TEXT   NOT NULL,
    PRIMARY KEY (tenant, number)
);

CREATE TABLE releases (
    tenant      TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    candidate   BIGINT NOT NULL,
    manifest    TEXT   NOT NULL,
    snapshot    TEXT   NOT NULL,
    definitions TEXT   NOT NULL,
    derived     TEXT   NOT NULL,
    parent      BIGINT,
    entries     BIGINT NOT NULL,
    note        TEXT   NOT NULL,
    created_at  TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (tenant, number)
);

CREATE TABLE schema_version (version BIGINT NOT NULL);

CREATE TABLE search_log (
    tenant   TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    at       TEXT   NOT NULL,
    caller   TEXT   NOT NULL,
    query    TEXT   NOT NULL,
    locale   TEXT   NOT NULL,
    found    BIGINT NOT NULL,
    entry    TEXT   NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX search_log_at ON search_log (tenant, at);

CREATE TABLE tenants (
    tenant     TEXT   NOT NULL PRIMARY KEY,
    hosts      TEXT   NOT NULL,
    created_at TEXT   NOT NULL
);

CREATE TABLE unsettled (
    tenant       TEXT   NOT NULL,
    sequence     BIGINT NOT NULL,
    old_snapshot TEXT   NOT NULL,
    new_snapshot TEXT   NOT NULL,
    adopt        BIGINT NOT NULL,
    PRIMARY KEY (tenant, sequence)
);

CREATE TABLE waivers (
    tenant    TEXT   NOT NULL,
    candidate BIGINT NOT NULL,
    gate      TEXT   NOT NULL,
    by_name   TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    at        TEXT   NOT NULL,
    PRIMARY KEY (tenant, candidate, gate)
);

CREATE TABLE webhooks (
    tenant          TEXT   NOT NULL,
    id              TEXT   NOT NULL,
    url             TEXT   NOT NULL,
    filter          TEXT   NOT NULL,
    secret          TEXT   NOT NULL,
    previous_secret TEXT,
    previous_until  TEXT,
    enabled         BIGINT NOT NULL,
    why             TEXT   NOT NULL,
    created_at      TEXT   NOT NULL,
    created_by      TEXT   NOT NULL,
    PRIMARY KEY (tenant, id)
);

