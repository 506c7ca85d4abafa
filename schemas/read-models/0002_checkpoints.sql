-- How far each projection has come in each partition, and who may write it now.
--
-- Written by: the projectors, in the transaction that writes the rows. A takeover raises `epoch`; a batch names the epoch
-- it was read under, so a worker that slept past its lease changes nothing.
-- Read by:    the query API (consistency tokens, freshness) and operators.
CREATE TABLE checkpoints (
    worker           text        NOT NULL,            -- a build: 'totals.v1', 'totals.v1.g2'
    partition        integer     NOT NULL,
    position         bigint      NOT NULL DEFAULT 0,  -- every event up to here is in the rows (or parked)
    epoch            bigint      NOT NULL DEFAULT 0,
    holder           uuid,
    lease_expires_at timestamptz,
    heartbeat_at     timestamptz,                     -- the worker was alive; the first signal of a dead one
    next_offset      bigint,                          -- Kafka's, a hint where to resume reading
    as_of            timestamptz,                     -- everything recorded up to this instant is in the rows
    proof_events     bigint      NOT NULL DEFAULT 0,  -- count and rolling hash over position and id of every event passed:
    proof_hash       bigint      NOT NULL DEFAULT 0,  -- at the same position the same as the store's (fittrack_schemas::proof)
    PRIMARY KEY (worker, partition)
) WITH (fillfactor = 50);                             -- few rows, updated often: keep the updates on their page

CREATE TABLE lease_members (
    worker     text        NOT NULL,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (worker, holder)
) WITH (fillfactor = 50);

-- Events that a projection could not take, and all later ones of the same owner, in order.
-- Written by: the projectors with their checkpoint; read by: operators (`projectors parked`).
CREATE TABLE parked_events (
    worker    text        NOT NULL,
    owner_id  uuid        NOT NULL,
    partition integer     NOT NULL,
    position  bigint      NOT NULL,
    event     json        NOT NULL,                   -- the envelope as it was read; jsonb would refuse some poison (\u0000)
    error     text,                                   -- what failed; null on those that wait behind it
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (worker, partition, position)
);
-- Serves: which owners are parked, when a worker takes a partition over.
CREATE INDEX parked_events_owner ON parked_events (worker, partition, owner_id);

GRANT SELECT, INSERT, UPDATE ON checkpoints TO fittrack_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON lease_members, parked_events TO fittrack_projector;
GRANT SELECT ON checkpoints TO fittrack_query;
