-- Who is signed in, and the refresh tokens by which they stay so.
--
-- Written and read by: the command API alone.
-- Whoever removes an account ends its sessions first (no foreign key, so that the ended ones are still announced).

-- How often the password was changed: a sign-in that checked an old one begins no session. A rehash does not count.
ALTER TABLE accounts ADD COLUMN password_changes integer NOT NULL DEFAULT 0;

-- A session is a family of refresh tokens: each use of one spends it and gives its successor.
CREATE TABLE sessions (
    session_id   uuid        PRIMARY KEY,      -- `sid` of its access tokens
    athlete_id   uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- when an access token was last issued; 14 days later it is over
    expires_at   timestamptz NOT NULL,         -- over by then, however much it is used
    user_agent   text        CHECK (length(user_agent) <= 200),
    ended_at     timestamptz,                  -- never taken back
    ended_by     text        CHECK (ended_by IN ('logout', 'password_change', 'token_reuse', 'too_many', 'administrator')),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
-- Serves: an athlete's own sessions, ending them, and how many there are.
CREATE INDEX sessions_live ON sessions (athlete_id, last_used_at DESC) WHERE ended_at IS NULL;
-- Serves: what ended lately, which every command API reads each second.
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
-- Serves: the sweeper.
CREATE INDEX sessions_last_used ON sessions (last_used_at);

-- One row a token; the token itself is nowhere, so a copy of this table signs nobody in.
CREATE TABLE refresh_tokens (
    token_hash     bytea       PRIMARY KEY CHECK (length(token_hash) = 32),     -- SHA-256 of the token
    session_id     uuid        NOT NULL REFERENCES sessions ON DELETE CASCADE,
    issued_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    rotated_at     timestamptz,                -- spent; using it again later than the grace ends the session
    -- With the token itself (and only with it) this gives the successor again, for a client whose answer was lost. Gone
    -- when the successor is used, or by the sweeper.
    successor_salt bytea       CHECK (length(successor_salt) = 32)
);
-- Serves: ON DELETE CASCADE.
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
-- Serves: the sweeper.
CREATE INDEX refresh_tokens_rotated ON refresh_tokens (rotated_at) WHERE rotated_at IS NOT NULL;
-- Serves: forgetting salts.
CREATE INDEX refresh_tokens_salted ON refresh_tokens (rotated_at) WHERE successor_salt IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, refresh_tokens TO fittrack_command;
