-- How often something was tried lately that may be guessing, counted for all replicas together, and the answers that were given
-- for addresses that have an account already; and who is let through all the same.
--
-- Written and read by: the command API alone. Rows are swept an hour, a day or a month after they were last of use.
CREATE TABLE throttles (
    subject       bytea       PRIMARY KEY CHECK (length(subject) = 32), -- SHA-256 of what is counted; no address is in here
    tries         integer     NOT NULL,
    blocked_until timestamptz NOT NULL,
    last_try_at   timestamptz NOT NULL
);
-- Serves: the sweeper.
CREATE INDEX throttles_last_try ON throttles (last_try_at);

-- From where an account was signed in to within thirty days, the last twenty networks: what others try does not keep these out.
CREATE TABLE known_networks (
    account      bytea       NOT NULL CHECK (length(account) = 32), -- SHA-256 of its address, with a word before it
    network      bytea       NOT NULL CHECK (length(network) = 32), -- SHA-256 of both
    signed_in_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, network)
);
-- Serves: the sweeper.
CREATE INDEX known_networks_signed_in ON known_networks (signed_in_at);

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

GRANT SELECT, INSERT, UPDATE, DELETE ON throttles, known_networks, decoy_registrations TO fittrack_command;
