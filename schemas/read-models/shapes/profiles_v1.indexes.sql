-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one athlete.
ALTER TABLE {schema}.profiles ADD PRIMARY KEY (athlete_id);
