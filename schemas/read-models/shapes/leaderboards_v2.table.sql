-- Read model "leaderboards", version 2: an athlete's score on each board. A board is a UTC calendar period (week, month,
-- year, all) and a sport ('all' for every sport); its metrics are the columns. Ranks are made when read.
-- Written by: the projection leaderboards, which adds differences of public, plausible workouts of a minute or more.
-- Read by: the query API, through the view public.leaderboards, while it is shown.
CREATE TABLE {schema}.leaderboards (
    period            text COLLATE "C" NOT NULL,      -- week, month, year, all
    starts_on         date        NOT NULL,           -- first day of the period; 1970-01-01 for all
    sport             text COLLATE "C" NOT NULL,      -- a sport, or 'all'
    athlete_id        uuid        NOT NULL,
    distance_mm       bigint      NOT NULL,
    duration_ms       bigint      NOT NULL,
    moving_ms         bigint      NOT NULL,           -- 0 where a workout does not know it
    elevation_gain_mm bigint      NOT NULL,
    workouts          bigint      NOT NULL,
    scored_at         timestamptz NOT NULL            -- when the score became what it is: the earlier goes first among equals
) WITH (fillfactor = 70);
