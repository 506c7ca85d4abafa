-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one athlete, whenever somebody looks at their zones or another at a track of theirs.
ALTER TABLE {schema}.privacy_zones ADD PRIMARY KEY (athlete_id);
