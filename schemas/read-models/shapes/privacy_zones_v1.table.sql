-- Read model "privacy_zones", version 1: near which places the ends of an athlete's tracks are not shown to others.
-- Written by: the projection privacy_zones. Read by: the query API, through the view public.privacy_zones, while it is shown.
CREATE TABLE {schema}.privacy_zones (
    athlete_id uuid        NOT NULL,
    version    bigint      NOT NULL,                  -- the stream's sequence: the ETag of the list
    zones      jsonb       NOT NULL,                  -- as in the event, the whole list; may be empty
    changed_at timestamptz NOT NULL
);
