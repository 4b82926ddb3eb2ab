-- Which reader of retrieval.toml a key is bound to; empty for everybody's.
ALTER TABLE api_keys ADD COLUMN reader TEXT NOT NULL DEFAULT '';
