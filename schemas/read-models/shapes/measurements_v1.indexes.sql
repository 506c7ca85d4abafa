-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: an athlete's own list, newest first, of one kind or of all.
ALTER TABLE {schema}.measurements ADD PRIMARY KEY (athlete_id, measured_on, kind);
