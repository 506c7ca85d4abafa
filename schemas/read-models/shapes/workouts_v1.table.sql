-- Read model "workouts", version 1: one row a workout, all that a list or a detail page shows.
-- Written by: the projection workouts. Read by: the query API, through the view public.workouts, while it is shown.
CREATE TABLE {schema}.workouts (
    workout_id             uuid        NOT NULL,
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
