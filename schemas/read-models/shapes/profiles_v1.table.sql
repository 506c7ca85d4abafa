-- Read model "profiles", version 1: who an athlete is to others, and their settings.
-- Written by: the projection profiles. Read by: the query API, through the view public.profiles, while it is shown.
CREATE TABLE {schema}.profiles (
    athlete_id         uuid        NOT NULL,
    version            bigint      NOT NULL,          -- the stream's sequence: the ETag of the profile
    display_name       text        NOT NULL,
    bio                text,
    birth_year         integer,
    sex                text        NOT NULL,
    height_cm          integer,
    time_zone          text        NOT NULL,
    units              text        NOT NULL,
    default_visibility text        NOT NULL,
    registered_at      timestamptz NOT NULL,
    changed_at         timestamptz NOT NULL
);
