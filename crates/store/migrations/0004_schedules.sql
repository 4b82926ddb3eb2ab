-- When a changeset has something to do next; absent when it has not. `claimed_by` and `claimed_until`: which process does it
-- now. `forecast`: what trying it beforehand said, and when; `at_risk`: something would refuse it.
ALTER TABLE changesets ADD COLUMN due_at TEXT;
ALTER TABLE changesets ADD COLUMN claimed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE changesets ADD COLUMN claimed_until TEXT NOT NULL DEFAULT '';
ALTER TABLE changesets ADD COLUMN checked_at TEXT NOT NULL DEFAULT '';
ALTER TABLE changesets ADD COLUMN forecast TEXT NOT NULL DEFAULT '';
ALTER TABLE changesets ADD COLUMN at_risk BIGINT NOT NULL DEFAULT 0;
UPDATE changesets SET due_at = publish_at WHERE state = 'scheduled';
UPDATE changesets SET due_at = unpublish_at WHERE state = 'published';
DROP INDEX changesets_due;
CREATE INDEX changesets_due ON changesets (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX changesets_due_of ON changesets (tenant, due_at) WHERE due_at IS NOT NULL;

-- Which process works on the job; empty when that is not known.
ALTER TABLE attempts ADD COLUMN owner TEXT NOT NULL DEFAULT '';
