-- Budgets of model calls: how much of a limit is taken in a period by all nodes. `unit`: `tokens`, or `money/USD` in picounits.
CREATE TABLE llm_budgets (
    tenant TEXT   NOT NULL,
    scope  TEXT   NOT NULL,
    period TEXT   NOT NULL,
    unit   TEXT   NOT NULL,
    used   BIGINT NOT NULL,
    PRIMARY KEY (tenant, scope, period, unit)
);

-- Records of model calls. Later calls have greater ids. `data` is the record as JSON; `body` is the text of the call until `body_until`, for
-- features that ask for it.
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

CREATE INDEX llm_calls_user ON llm_calls (tenant, user_hash, id);
CREATE INDEX llm_calls_body ON llm_calls (tenant, body_until);

-- What model calls used, by day (UTC), feature, key and model. Money is `micros` millionths of a unit and `picos` picounits, so that sums
-- are exact and have room.
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

-- What end users of model calls are hashed with.
CREATE TABLE llm_secrets (
    tenant TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL
);
