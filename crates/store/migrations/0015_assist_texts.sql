-- A text that several people asked for is known by all of them: none of them approves it.
CREATE TABLE known_texts (
    tenant       TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    requested_by TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    locale       TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (tenant, text, requested_by)
);
INSERT INTO known_texts (tenant, text, requested_by, type, id, locale, version)
    SELECT tenant, text, '', type, id, locale, version FROM assisted_texts;
DROP TABLE assisted_texts;
ALTER TABLE known_texts RENAME TO assisted_texts;
