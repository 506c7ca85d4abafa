-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one athlete's days of a span.
ALTER TABLE {schema}.totals ADD PRIMARY KEY (athlete_id, local_date, sport);
