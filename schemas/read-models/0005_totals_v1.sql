-- Read model "totals", version 1: an athlete's sums per sport and local day. ISO weeks, months and years are sums of days,
-- made when read (at most 366 days times the sports of one athlete), so that an event touches one row.
-- Written by: the projection totals, which adds differences. Read by: the query API, through the view public.totals.
-- Whole numbers of small units: what is added can be taken away again exactly.
CREATE SCHEMA totals_v1;
CREATE TABLE totals_v1.totals (
    athlete_id        uuid   NOT NULL,
    local_date        date   NOT NULL,
    sport             text COLLATE "C" NOT NULL,
    workouts          bigint NOT NULL,
    distance_mm       bigint NOT NULL,
    duration_ms       bigint NOT NULL,
    moving_ms         bigint NOT NULL,
    elevation_gain_mm bigint NOT NULL,
    energy_kcal       bigint NOT NULL,
    PRIMARY KEY (athlete_id, local_date, sport)       -- serves: one athlete's days of a span
) WITH (fillfactor = 70);

CREATE VIEW totals AS SELECT * FROM totals_v1.totals;
INSERT INTO read_models (name, version) VALUES ('totals', 1);

GRANT USAGE ON SCHEMA totals_v1 TO fittrack_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON totals_v1.totals TO fittrack_projector;
GRANT SELECT ON totals TO fittrack_query;
