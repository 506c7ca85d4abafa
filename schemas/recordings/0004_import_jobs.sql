-- Imports of zips: the job, the zip as it came (until the job is done), and what became of each file in it.
--
-- Written by: the command API, with leases and epochs as for exports (0003). A job that is taken over goes on behind the files
-- that have a row. Read by: the command API, and the query API, which shows a job to its athlete.
-- Erasure removes an athlete's jobs, and pieces and files go with them.
CREATE TABLE import_jobs (
    import_id        uuid        PRIMARY KEY,
    athlete_id       uuid        NOT NULL,
    -- `receiving` until the zip has come whole and was looked into.
    state            text        NOT NULL DEFAULT 'receiving'
                     CHECK (state IN ('receiving', 'pending', 'running', 'succeeded', 'failed')),
    requested_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at      timestamptz,
    expires_at       timestamptz          -- of what is being received and of what is done: when it goes
                     DEFAULT clock_timestamp() + interval '2 hours',
    attempts         integer     NOT NULL DEFAULT 0,
    epoch            bigint      NOT NULL DEFAULT 0,
    lease_expires_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fingerprint      text,                                     -- of the request: its target and the zip's hash
    visibility       text        CHECK (visibility IN ('private', 'followers', 'public')),
    gear_id          uuid,
    size_bytes       bigint,
    files            integer,                                  -- how many there will be
    partition        integer,                                  -- of a finished one: where its last event is
    position         bigint,
    reason           text
);
-- An athlete has one import under way. Serves: the question for it.
CREATE UNIQUE INDEX import_jobs_under_way ON import_jobs (athlete_id) WHERE state IN ('receiving', 'pending', 'running');
-- Serves: the worker.
CREATE INDEX import_jobs_waiting ON import_jobs (lease_expires_at) WHERE state IN ('pending', 'running');
-- Serves: the sweeper.
CREATE INDEX import_jobs_expiring ON import_jobs (expires_at);
-- Serves: erasure.
CREATE INDEX import_jobs_of_athlete ON import_jobs (athlete_id);

CREATE TABLE import_chunks (
    import_id  uuid    NOT NULL REFERENCES import_jobs ON DELETE CASCADE,
    number     integer NOT NULL,                               -- 0, 1, 2 ...
    athlete_id uuid    NOT NULL,
    content    bytea   NOT NULL,                               -- 1 MiB each, but for the last
    PRIMARY KEY (import_id, number)
);
ALTER TABLE import_chunks ALTER COLUMN content SET STORAGE EXTERNAL;
-- Serves: erasure.
CREATE INDEX import_chunks_of_athlete ON import_chunks (athlete_id);

CREATE TABLE import_files (
    import_id   uuid    NOT NULL REFERENCES import_jobs ON DELETE CASCADE,
    number      integer NOT NULL,                              -- its place in the zip, from 0
    athlete_id  uuid    NOT NULL,
    name        text    NOT NULL,
    status      text    NOT NULL CHECK (status IN ('stored', 'duplicate', 'refused')),
    reason      text,
    workout_ids uuid[]  NOT NULL DEFAULT '{}',
    PRIMARY KEY (import_id, number)
);
-- Serves: erasure.
CREATE INDEX import_files_of_athlete ON import_files (athlete_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON import_jobs TO fittrack_command;
GRANT SELECT, INSERT, DELETE ON import_chunks, import_files TO fittrack_command;
GRANT SELECT ON import_jobs, import_files TO fittrack_query;
