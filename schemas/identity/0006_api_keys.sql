-- Keys by which an athlete's programs get access tokens, each limited to what its scopes allow.
--
-- Written and read by: the command API alone. The key itself is nowhere, so a copy of this table opens nothing.
CREATE TABLE api_keys (
    key_id       uuid        PRIMARY KEY,      -- `sid` of its access tokens
    athlete_id   uuid        NOT NULL,
    key_hash     bytea       NOT NULL CHECK (length(key_hash) = 32), -- SHA-256 of the key
    name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    scopes       text[]      NOT NULL CHECK (scopes <@ ARRAY['read', 'write'] AND cardinality(scopes) BETWEEN 1 AND 2),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,                  -- when an access token was last issued
    expires_at   timestamptz,                  -- ends by itself
    ended_at     timestamptz                   -- never taken back
    -- The sweeper removes the row a day after either.
);
-- Serves: giving out an access token.
CREATE UNIQUE INDEX api_keys_hash ON api_keys (key_hash);
-- Serves: an athlete's own keys.
CREATE INDEX api_keys_live ON api_keys (athlete_id, created_at) WHERE ended_at IS NULL;
-- Serves: the sweeper.
CREATE INDEX api_keys_expires ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
-- Serves: what ended lately, and the sweeper.
CREATE INDEX api_keys_ended ON api_keys (ended_at) WHERE ended_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO fittrack_command;
