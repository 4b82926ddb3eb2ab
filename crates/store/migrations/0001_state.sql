-- What is mutable, per tenant. Both SQLite and PostgreSQL run this file as it is.
-- Times are RFC 3339 in UTC with microseconds, so text order is time order. Digests are hexadecimal. Flags are 0 or 1.

CREATE TABLE tenants (
    tenant     TEXT   NOT NULL PRIMARY KEY,
    hosts      TEXT   NOT NULL,
    created_at TEXT   NOT NULL
);

CREATE TABLE counters (
    tenant TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    value  BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

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
);
CREATE INDEX api_keys_tenant ON api_keys (tenant);

CREATE TABLE definitions (
    tenant    TEXT   NOT NULL,
    sequence  BIGINT NOT NULL,
    digest    TEXT   NOT NULL,
    author    TEXT   NOT NULL,
    pushed_at TEXT   NOT NULL,
    PRIMARY KEY (tenant, sequence)
);

-- A draft points at its newest version; `pending` says that it differs from what the public channel serves, and
-- `clean_version` is the newest version that did not.
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
CREATE INDEX drafts_pending ON drafts (tenant, sequence) WHERE pending = 1;
CREATE INDEX drafts_changeset ON drafts (tenant, changeset) WHERE changeset IS NOT NULL;

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
    message      TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX changesets_due ON changesets (state, publish_at);

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

CREATE TABLE gate_reports (
    tenant    TEXT   NOT NULL,
    candidate BIGINT NOT NULL,
    position  BIGINT NOT NULL,
    gate      TEXT   NOT NULL,
    report    TEXT   NOT NULL,
    PRIMARY KEY (tenant, candidate, gate)
);

CREATE TABLE evidence (
    tenant TEXT NOT NULL,
    gate   TEXT NOT NULL,
    inputs TEXT NOT NULL,
    report TEXT NOT NULL,
    at     TEXT NOT NULL,
    PRIMARY KEY (tenant, gate, inputs)
);

CREATE TABLE approvals (
    tenant     TEXT NOT NULL,
    right_name TEXT NOT NULL,
    change     TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    at         TEXT NOT NULL,
    PRIMARY KEY (tenant, right_name, change, by_name)
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

CREATE TABLE channels (
    tenant   TEXT   NOT NULL,
    channel  TEXT   NOT NULL,
    release  BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    moved_at TEXT   NOT NULL,
    moved_by TEXT   NOT NULL,
    PRIMARY KEY (tenant, channel)
);

-- Moves of the public channel whose drafts have not been compared with what it serves now. `adopt`: drafts that were
-- equal to what was served take over what is served now (a release that came from elsewhere).
CREATE TABLE unsettled (
    tenant       TEXT   NOT NULL,
    sequence     BIGINT NOT NULL,
    old_snapshot TEXT   NOT NULL,
    new_snapshot TEXT   NOT NULL,
    adopt        BIGINT NOT NULL,
    PRIMARY KEY (tenant, sequence)
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

CREATE TABLE audit (
    tenant   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    row_text TEXT   NOT NULL,
    previous TEXT   NOT NULL,
    hash     TEXT   NOT NULL,
    PRIMARY KEY (tenant, sequence)
);
