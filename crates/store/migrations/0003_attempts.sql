-- Jobs that were begun and have not ended. A row that is still there when the job is looked at again belongs to a process
-- that died while it worked on the job.
CREATE TABLE attempts (
    tenant   TEXT   NOT NULL,
    job      TEXT   NOT NULL,
    begun    BIGINT NOT NULL,
    begun_at TEXT   NOT NULL,
    PRIMARY KEY (tenant, job)
);
