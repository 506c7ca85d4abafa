-- How far the relay has published each partition, and who may publish it now.
--
-- Written by: the relay. A takeover raises `epoch`; a holder's write names its epoch, so one that slept too long changes
-- nothing. The position is written lazily: publishing an event twice is harmless, so it may lag behind Kafka.
-- Beside each position stands the proof of the events up to it (a count and a rolling hash over position and event id, see
-- schemas/src/proof.rs), moved in the same write. The prover reads the log again and compares: its own rows ('store') say
-- how far the log was found to be what was published. Two rows of one position that differ: somebody changed the log.
-- The same two tables stand in the read-model database for the projectors.
CREATE TABLE checkpoints (
    worker           text        NOT NULL,            -- 'relay', or 'store' for the prover
    partition        integer     NOT NULL,
    position         bigint      NOT NULL DEFAULT 0,  -- relay: every event up to here is acknowledged by Kafka
    proof_events     bigint      NOT NULL DEFAULT 0,  -- how many events there were up to `position`
    proof_hash       bigint      NOT NULL DEFAULT 0,  -- the rolling hash over them
    epoch            bigint      NOT NULL DEFAULT 0,
    holder           uuid,
    lease_expires_at timestamptz,
    heartbeat_at     timestamptz,
    PRIMARY KEY (worker, partition)
) WITH (fillfactor = 50);                             -- few rows, updated often: keep the updates on their page

CREATE TABLE lease_members (
    worker     text        NOT NULL,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (worker, holder)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON checkpoints TO fittrack_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON lease_members TO fittrack_relay;
GRANT SELECT ON checkpoints TO fittrack_command, fittrack_projector;
