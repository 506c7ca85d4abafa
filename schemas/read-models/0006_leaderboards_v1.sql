-- Read model "leaderboards", version 1: an athlete's score on each board. A board is a UTC calendar period (week, month,
-- year, all) and a sport ('all' for every sport); its metrics are the columns. Ranks are made when read.
-- Written by: the projection leaderboards, which adds differences of public, plausible workouts.
-- Read by: the query API, through the view public.leaderboards.
CREATE SCHEMA leaderboards_v1;
CREATE TABLE leaderboards_v1.leaderboards (
    period            text COLLATE "C" NOT NULL,      -- week, month, year, all
    starts_on         date        NOT NULL,           -- first day of the period; 1970-01-01 for all
    sport             text COLLATE "C" NOT NULL,      -- a sport, or 'all'
    athlete_id        uuid        NOT NULL,
    distance_mm       bigint      NOT NULL,
    duration_ms       bigint      NOT NULL,
    elevation_gain_mm bigint      NOT NULL,
    workouts          bigint      NOT NULL,
    scored_at         timestamptz NOT NULL,           -- when the score became what it is: the earlier goes first among equals
    PRIMARY KEY (period, starts_on, sport, athlete_id) -- serves: one board; no index on what changes, so updates stay cheap
) WITH (fillfactor = 70);

CREATE VIEW leaderboards AS SELECT * FROM leaderboards_v1.leaderboards;
INSERT INTO read_models (name, version) VALUES ('leaderboards', 1);

GRANT USAGE ON SCHEMA leaderboards_v1 TO fittrack_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON leaderboards_v1.leaderboards TO fittrack_projector;
GRANT SELECT ON leaderboards TO fittrack_query;
