-- Receivers of events. `expanded` and `expanded_key`: up to where the event log has become deliveries; the key is a place
-- inside the event with the next sequence. `owner` and `leased_until`: which worker sends for it now.
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
    expanded        BIGINT NOT NULL,
    expanded_key    TEXT   NOT NULL,
    owner           TEXT   NOT NULL,
    leased_until    TEXT   NOT NULL,
    created_at      TEXT   NOT NULL,
    created_by      TEXT   NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- What is to be sent, was sent, or was given up. Deliveries with the same `ordering` follow one another.
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

CREATE UNIQUE INDEX deliveries_once ON deliveries (tenant, webhook, event);
CREATE INDEX deliveries_due ON deliveries (tenant, webhook, state, due_at);
CREATE INDEX deliveries_order ON deliveries (tenant, webhook, state, ordering, number);
