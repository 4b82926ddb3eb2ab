-- Model calls that people look at. `data` is what they see, as JSON, redacted; `reasons`, `doubtful` and `escalated` are what figures need of
-- it. `first` and `second` are the verdicts of the first two reviewers, `verdict` is the final one; they are empty until given.
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

CREATE INDEX llm_reviews_state ON llm_reviews (tenant, state, call_id);
CREATE INDEX llm_reviews_keep ON llm_reviews (tenant, keep_until);
CREATE INDEX llm_reviews_user ON llm_reviews (tenant, user_hash) WHERE user_hash <> '';

-- What reviewers said, each once: nobody reviews a call twice. `expected` is what a good answer is, as JSON, or empty.
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
