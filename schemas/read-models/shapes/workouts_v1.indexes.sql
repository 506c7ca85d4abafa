-- Made after the rows were loaded: building an index once is cheaper than keeping it meanwhile.
-- Serves: one workout.
ALTER TABLE {schema}.workouts ADD PRIMARY KEY (workout_id);
-- Serves: an athlete's list, newest first, from any cursor.
CREATE INDEX workouts_newest ON {schema}.workouts (athlete_id, started_at DESC, workout_id DESC);
