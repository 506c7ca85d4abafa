-- The builds of each read model, and which of them readers see.
--
-- A build is a version (a shape and a fold) and a generation (how often that version was built): 'leaderboards.v2', and
-- 'leaderboards.v2.g2' when it was built once more beside itself. Each has a schema, checkpoints and parked events of its own.
-- Written by: the operators' commands `projectors migrate | rebuild | verify | promote | rollback | retire`.
-- Read by:    the projectors (what to feed), the query API (what is shown) and `projectors status`.
CREATE TABLE builds (
    read_model    text        NOT NULL,
    version       integer     NOT NULL CHECK (version >= 1),
    generation    integer     NOT NULL CHECK (generation >= 1),
    worker        text        NOT NULL UNIQUE GENERATED ALWAYS AS     -- the name of its checkpoints
        (read_model || '.v' || version::text || CASE WHEN generation > 1 THEN '.g' || generation::text ELSE '' END) STORED,
    state         text        NOT NULL CHECK (state IN (
                      'filling',                      -- a rebuild loads it from the event store; nobody else writes it
                      'fed',                          -- the projectors keep it up to date, shown or not
                      'retired')),                    -- its rows are gone
    begun_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    filled_by     text,                               -- who rebuilds it, and since when: for whoever comes second
    filling_since timestamptz,
    verified_at   timestamptz,                        -- it was compared, and what differed was intended
    verified_with text,                               -- the worker of the build it was compared with
    shown_until   timestamptz,                        -- when another was shown in its place
    retired_at    timestamptz,
    PRIMARY KEY (read_model, version, generation)
);

-- Which build the view public.<name> shows. Promotion and rollback change it, in the transaction that changes the view.
CREATE TABLE read_models (
    name                text    PRIMARY KEY,
    version             integer NOT NULL,
    generation          integer NOT NULL,
    worker              text    NOT NULL GENERATED ALWAYS AS
        (name || '.v' || version::text || CASE WHEN generation > 1 THEN '.g' || generation::text ELSE '' END) STORED,
    previous_version    integer,                      -- what a rollback goes back to
    previous_generation integer,
    flips               bigint  NOT NULL DEFAULT 0,   -- how often another build was shown: the cache's generation
    FOREIGN KEY (name, version, generation) REFERENCES builds
);

GRANT SELECT ON builds, read_models TO fittrack_projector, fittrack_query;
