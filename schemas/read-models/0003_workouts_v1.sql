-- Read model "workouts", version 1: one row a workout, all that a list or a detail page shows.
-- Written by: the projection workouts. Read by: the query API, through the view public.workouts.
CREATE SCHEMA workouts_v1;
CREATE TABLE workouts_v1.workouts (
    workout_id             uuid        PRIMARY KEY,
    athlete_id             uuid        NOT NULL,
    version                bigint      NOT NULL,      -- the stream's sequence: the ETag of the workout
    sport                  text        NOT NULL,
    started_at             timestamptz NOT NULL,
    time_zone              text        NOT NULL,
    local_date             date        NOT NULL,
    duration_ms            bigint      NOT NULL,
    moving_ms              bigint,
    distance_mm            bigint,
    elevation_gain_mm      bigint,
    energy_kcal            integer,
    average_heart_rate_bpm integer,
    max_heart_rate_bpm     integer,
    average_power_w        integer,
    perceived_exertion     integer,
    title                  text,
    notes                  text,
    visibility             text        NOT NULL,
    gear_id                uuid,
    sets                   jsonb,
    recording              jsonb,                     -- RecordingRef of the event; null where logged by hand
    logged_at              timestamptz NOT NULL,
    changed_at             timestamptz NOT NULL
);
-- Serves: an athlete's list, newest first, from any cursor.
CREATE INDEX workouts_newest ON workouts_v1.workouts (athlete_id, started_at DESC, workout_id DESC);

CREATE VIEW workouts AS SELECT * FROM workouts_v1.workouts;
INSERT INTO read_models (name, version) VALUES ('workouts', 1);

GRANT USAGE ON SCHEMA workouts_v1 TO fittrack_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON workouts_v1.workouts TO fittrack_projector;
GRANT SELECT ON workouts TO fittrack_query;
