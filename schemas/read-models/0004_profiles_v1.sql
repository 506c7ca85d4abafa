-- Read model "profiles", version 1: who an athlete is to others, and their settings.
-- Written by: the projection profiles. Read by: the query API, through the view public.profiles.
CREATE SCHEMA profiles_v1;
CREATE TABLE profiles_v1.profiles (
    athlete_id         uuid        PRIMARY KEY,
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

CREATE VIEW profiles AS SELECT * FROM profiles_v1.profiles;
INSERT INTO read_models (name, version) VALUES ('profiles', 1);

GRANT USAGE ON SCHEMA profiles_v1 TO fittrack_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON profiles_v1.profiles TO fittrack_projector;
GRANT SELECT ON profiles TO fittrack_query;
