-- Exports of everything an athlete has: the job, and the zip it makes, in pieces.
--
-- Written by: the command API. A worker takes one job at a time by a lease and raises `epoch`; a write names its epoch, so a
-- worker that slept too long changes nothing. Whoever takes a job over begins again and removes what was written before.
-- Read by:    the command API, for its athlete alone. Erasure removes an athlete's jobs, and the pieces go with them.
CREATE TABLE export_jobs (
    export_id        uuid        PRIMARY KEY,
    athlete_id       uuid        NOT NULL,
    state            text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'succeeded', 'failed')),
    requested_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at      timestamptz,
    expires_at       timestamptz,                              -- of a finished job: when it goes, and its zip with it
    attempts         integer     NOT NULL DEFAULT 0,           -- after so many it fails for good
    epoch            bigint      NOT NULL DEFAULT 0,           -- raised by whoever takes the job
    lease_expires_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- not to be taken before
    size_bytes       bigint,
    sha256           bytea       CHECK (octet_length(sha256) = 32),
    reason           text                                      -- of a failed one, for its athlete
);
-- An athlete has one export under way. Serves: the question for it.
CREATE UNIQUE INDEX export_jobs_under_way ON export_jobs (athlete_id) WHERE state IN ('pending', 'running');
-- Serves: the worker.
CREATE INDEX export_jobs_waiting ON export_jobs (lease_expires_at) WHERE state IN ('pending', 'running');
-- Serves: the sweeper.
CREATE INDEX export_jobs_expiring ON export_jobs (expires_at);
-- Serves: replacing an athlete's older exports, and erasure.
CREATE INDEX export_jobs_of_athlete ON export_jobs (athlete_id);

CREATE TABLE export_chunks (
    export_id  uuid    NOT NULL REFERENCES export_jobs ON DELETE CASCADE,
    epoch      bigint  NOT NULL,
    number     integer NOT NULL,                               -- 0, 1, 2 ...
    athlete_id uuid    NOT NULL,
    content    bytea   NOT NULL,                               -- 1 MiB each, but for the last
    PRIMARY KEY (export_id, epoch, number)
);
-- A zip is compressed already.
ALTER TABLE export_chunks ALTER COLUMN content SET STORAGE EXTERNAL;
-- Serves: erasure.
CREATE INDEX export_chunks_of_athlete ON export_chunks (athlete_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON export_jobs TO fittrack_command;
GRANT SELECT, INSERT, DELETE ON export_chunks TO fittrack_command;
