-- Read model "totals", version 1: an athlete's sums per sport and local day. ISO weeks, months and years are sums of days,
-- made when read (at most 366 days times the sports of one athlete), so that an event touches one row.
-- Written by: the projection totals, which adds differences. Read by: the query API, through the view public.totals, while it is shown.
-- Whole numbers of small units: what is added can be taken away again exactly.
CREATE TABLE {schema}.totals (
    athlete_id        uuid   NOT NULL,
    local_date        date   NOT NULL,
    sport             text COLLATE "C" NOT NULL,
    workouts          bigint NOT NULL,
    distance_mm       bigint NOT NULL,
    duration_ms       bigint NOT NULL,
    moving_ms         bigint NOT NULL,
    elevation_gain_mm bigint NOT NULL,
    energy_kcal       bigint NOT NULL
) WITH (fillfactor = 70);
