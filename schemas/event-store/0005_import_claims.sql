-- Which activities an athlete has imported: how a second file of the same activity is recognised.
--
-- Written by: the command API, under an advisory lock per athlete, before the workout's event is appended; a claim whose
-- event never came (a crash in between) is taken over by the next import of the same activity, under the same workout id.
-- Read by:    the import, and the sweeper of blobs (what no claim names and is a day old goes).
CREATE TABLE import_claims (
    athlete_id       uuid        NOT NULL,
    workout_id       uuid        NOT NULL,
    started_at       timestamptz NOT NULL,  -- as recorded, whatever the owner edits later
    duration_ms      bigint      NOT NULL,
    distance_mm      bigint,
    leg              integer     NOT NULL,
    original_sha256  bytea       NOT NULL,
    recording_sha256 bytea       NOT NULL,
    claimed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (athlete_id, workout_id)
);
-- Serves: the same activity around the same time.
CREATE INDEX import_claims_started ON import_claims (athlete_id, started_at);
-- Serve: the sweeper's question whether a blob is still named.
CREATE INDEX import_claims_original ON import_claims (original_sha256);
CREATE INDEX import_claims_recording ON import_claims (recording_sha256);

GRANT SELECT, INSERT, UPDATE, DELETE ON import_claims TO fittrack_command;
