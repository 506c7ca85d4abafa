-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one board; no index on what changes, so updates stay cheap.
ALTER TABLE {schema}.leaderboards ADD PRIMARY KEY (period, starts_on, sport, athlete_id);
