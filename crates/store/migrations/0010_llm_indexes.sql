-- Most calls name no end user and keep no text: they need no place in these indexes.
DROP INDEX llm_calls_user;
DROP INDEX llm_calls_body;
CREATE INDEX llm_calls_user ON llm_calls (tenant, user_hash, id) WHERE user_hash <> '';
CREATE INDEX llm_calls_body ON llm_calls (tenant, body_until) WHERE body_until <> '';
