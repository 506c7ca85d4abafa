-- Read model "measurements", version 1: dated facts about an athlete's body, the newest value of each kind and day.
-- Written by: the projection measurements. Read by: the query API, through the view public.measurements, while it is shown.
CREATE TABLE {schema}.measurements (
    athlete_id        uuid        NOT NULL,
    kind              text COLLATE "C" NOT NULL,      -- mass_kg, max_heart_rate_bpm, ...: the unit is in the name
    measured_on       date        NOT NULL,           -- the athlete's local day
    version           bigint      NOT NULL,           -- how often it was recorded: the ETag
    value_thousandths bigint      NOT NULL,           -- of the kind's unit
    recorded_at       timestamptz NOT NULL
);
