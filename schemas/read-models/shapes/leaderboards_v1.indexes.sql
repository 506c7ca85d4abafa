-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one board; no index on what changes, so updates stay cheap. The date goes first because it tells most rows apart and is
-- compared fastest: an index over millions of rows is sorted in two thirds of the time.
ALTER TABLE {schema}.leaderboards ADD PRIMARY KEY (starts_on, period, sport, athlete_id);
