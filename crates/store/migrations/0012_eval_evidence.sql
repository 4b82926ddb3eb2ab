-- What runs of eval suites showed. A suite has at most one complete and one incomplete row for the same inputs: the newest. `object` is the
-- document of the run, `inputs` the digest of everything that its answers depend on. Later rows have greater ids.
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
