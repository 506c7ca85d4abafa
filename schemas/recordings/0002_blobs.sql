-- Immutable, content-addressed blobs: uploaded files as they came, and their encoded samples.
--
-- Written by: the command API, before the event that names the hash. Read by: the query API and projections that need samples.
CREATE TABLE blobs (
    sha256    bytea       PRIMARY KEY CHECK (octet_length(sha256) = 32),
    kind      text        NOT NULL CHECK (kind IN ('original', 'recording')),
    content   bytea       NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp() -- renewed when the same content is stored again
);
-- They are compressed already (recordings) or should stay as they came (originals): do not try again.
ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL;
-- Serves: the sweeper, which removes blobs no import names once they are a day old.
CREATE INDEX blobs_stored_at ON blobs (stored_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON blobs TO fittrack_command;
GRANT SELECT ON blobs TO fittrack_query, fittrack_projector;
