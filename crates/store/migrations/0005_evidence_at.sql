-- Every judgement asks for the newest evidence; without this, each sorts all of it.
CREATE INDEX evidence_at ON evidence (tenant, at);
