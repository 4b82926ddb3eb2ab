-- Runs of eval suites by servers. `subject` is the release or candidate that is asked, and `definitions` the root of its definitions: both
-- stay what they were when the run began. `settings` is what the room that judges keeps of the run, as JSON. `slot` names the turn of a
-- schedule; empty when somebody asked for the run. `replies` are wanted; `done`, `passed`, `errors` and `cost` (picounits) count those
-- that are there. `cost_max` (picounits, 0: none) and `ends_by` (empty: none) are its caps. `owner` is the process that ends it.
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

-- Replies that a run wants: a case and a sample each. Whoever has `owner` asks until `leased_until`. `attempts` counts who began to. `outcome`
-- is what came back, as JSON; it is written once.
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
