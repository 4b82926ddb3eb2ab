-- Versions of drafts that a model wrote. `made` is their provenance as JSON. A version that a person wrote with text of a model is
-- `copied`.
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

-- Digests of texts that a model wrote, so that they are known again wherever they are put. `version` is the first that had the text.
CREATE TABLE assisted_texts (
    tenant  TEXT   NOT NULL,
    text    TEXT   NOT NULL,
    type    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    locale  TEXT   NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, text)
);

-- How often each task was asked on a day (UTC), by all nodes.
CREATE TABLE assist_days (
    tenant TEXT   NOT NULL,
    day    TEXT   NOT NULL,
    task   TEXT   NOT NULL,
    used   BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, task)
);

-- Whether a tenant's tasks are stopped.
CREATE TABLE assist_switch (
    tenant  TEXT   NOT NULL PRIMARY KEY,
    stopped BIGINT NOT NULL,
    reason  TEXT   NOT NULL,
    at      TEXT   NOT NULL,
    by_name TEXT   NOT NULL
);

-- Changesets that a task filled.
ALTER TABLE changesets ADD COLUMN assisted BIGINT NOT NULL DEFAULT 0;
