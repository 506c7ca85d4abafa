-- What operators decided about read models, and why: one row a decision, never changed or removed.
-- Written by: the projectors' command line, in the transaction that carries the decision out. Read by: `projectors audit`.
-- Names no content of events: positions and counts only.
CREATE TABLE operator_actions (
    action_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- serves: the newest decisions
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by text        NOT NULL,                  -- as given with --by, else the account the command ran under
    action     text        NOT NULL,                  -- such as parked_retried; all of them in projectors::audit
    worker     text        NOT NULL,                  -- a build: 'totals.v1', 'totals.v1.g2'
    partition  integer,                               -- null where it is about the whole build
    owner_id   uuid,
    events     bigint,                                -- how many events it was about, where that is known
    reason     text                                   -- as given with --reason
);

GRANT SELECT, INSERT ON operator_actions TO fittrack_projector;
