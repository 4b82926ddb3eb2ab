-- How far each follower of the event log is, and which process works for it now. `done` and `inside`: the last event that is
-- done, and a place inside the event after it. Webhooks had these columns of their own.
CREATE TABLE followers (
    tenant       TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    done         BIGINT NOT NULL,
    inside       TEXT   NOT NULL,
    owner        TEXT   NOT NULL,
    leased_until TEXT   NOT NULL,
    PRIMARY KEY (tenant, name)
);

INSERT INTO followers (tenant, name, done, inside, owner, leased_until)
    SELECT tenant, 'webhooks/' || id, expanded, expanded_key, owner, leased_until FROM webhooks;

ALTER TABLE webhooks DROP COLUMN expanded;
ALTER TABLE webhooks DROP COLUMN expanded_key;
ALTER TABLE webhooks DROP COLUMN owner;
ALTER TABLE webhooks DROP COLUMN leased_until;
