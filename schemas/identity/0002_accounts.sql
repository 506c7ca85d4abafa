-- Who may sign in: not event-sourced, because uniqueness of an address is a constraint and a password must be forgettable.
--
-- Written and read by: the command API alone.
CREATE TABLE accounts (
    athlete_id    uuid        PRIMARY KEY,
    email         text        NOT NULL,      -- as given; compared in lower case
    password_hash text        NOT NULL,      -- argon2id, PHC string
    -- 'pending' until athlete_registered is in the event store: registration is a saga over two databases, and a
    -- sweeper finishes what a crash left half done with the columns below.
    status        text        NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
    command_id    uuid        NOT NULL,      -- of athlete_registered
    display_name  text,                      -- kept only while pending
    time_zone     text,                      -- kept only while pending
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Serves: signing in; refuses a second account of one address.
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));
-- Serves: the sweeper of half-done registrations.
CREATE INDEX accounts_pending ON accounts (created_at) WHERE status = 'pending';

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts TO fittrack_command;
