-- Searches and clicks of tenants whose retrieval.toml asks for a log. `found`: how many entries a search found, or -1 for a click on
-- `entry` at `position`.
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
