-- How often something was tried lately that may be guessing, counted for all replicas together, and the answers that were given
-- for addresses that have an account already.
--
-- Written and read by: the command API alone. Rows are swept an hour or a day after they were last of use.
CREATE TABLE throttles (
    subject       bytea       PRIMARY KEY CHECK (length(subject) = 32), -- SHA-256 of what is counted; no address is in here
    tries         integer     NOT NULL,
    blocked_until timestamptz NOT NULL,
    last_try_at   timestamptz NOT NULL
);
-- Serves: the sweeper.
CREATE INDEX throttles_last_try ON throttles (last_try_at);

-- Registrations of addresses that have an account: answered as if they were none, and the same request again gets the same answer.
CREATE TABLE decoy_registrations (
    command_id    uuid        PRIMARY KEY,     -- as the idempotency key names it
    athlete_id    uuid        NOT NULL,        -- nobody
    password_hash text        NOT NULL,        -- argon2id, to know the same request by
    fingerprint   text        NOT NULL,
    partition     integer     NOT NULL,
    position      bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Serves: the sweeper.
CREATE INDEX decoy_registrations_created ON decoy_registrations (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON throttles, decoy_registrations TO fittrack_command;
