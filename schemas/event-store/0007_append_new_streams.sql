-- The short way into the log, for what most commands do: each begins a stream of its own with one event (a workout is logged).
-- A third of the price of append_events, which has to judge each command by itself; whatever this one does not take goes there.
--
-- Row n of every array is command n. Gives their positions in that order, or NULL, with nothing stored, where one of them is not
-- new: its id was seen before, its stream exists already, or another of the batch has the same. As append_events it refuses a batch
-- with a command of an owner whose log is closed (FT001), and for the same reason leaves no gap and no race: the advisory lock of
-- every touched partition, in ascending order.
CREATE FUNCTION append_new_streams(
    command_ids        uuid[],
    command_partitions integer[],
    aggregate_types    text[],
    aggregate_ids      text[],
    owner_ids          uuid[],
    event_ids          uuid[],
    event_types        text[],
    event_versions     text[],
    payloads           text[],
    metadatas          text[],
    occurred_ats       timestamptz[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp
  -- As append_events: one plan for good, made of index lookups and hash joins even where it was made on an empty table.
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
  SET enable_nestloop = off
  SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    taken bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_new_streams must run under READ COMMITTED, not %', current_setting('transaction_isolation');
    END IF;

    PERFORM pg_advisory_xact_lock(1179210836, partition) -- 'FITT', as append_events and close_log
    FROM (SELECT DISTINCT p FROM unnest(command_partitions) AS p ORDER BY p) AS touched (partition);

    IF EXISTS (SELECT FROM erased_owners e WHERE e.owner_id = ANY (owner_ids)) THEN
        RAISE EXCEPTION 'the log of an owner in this batch is closed: the account was erased' USING ERRCODE = 'FT001';
    END IF;

    -- A stream exists where its first event does. One of another type with the same id may be taken for it: then the long way tells.
    IF (SELECT count(DISTINCT c.id) FROM unnest(command_ids) AS c (id)) < cardinality(command_ids)
       OR (SELECT count(DISTINCT s.id) FROM unnest(aggregate_ids) AS s (id)) < cardinality(aggregate_ids)
       OR EXISTS (SELECT FROM events e WHERE e.command_id = ANY (command_ids) AND e.command_index = 0)
       OR EXISTS (SELECT FROM answered_commands k WHERE k.command_id = ANY (command_ids))
       OR EXISTS (SELECT FROM events e WHERE e.aggregate_type = ANY (aggregate_types)
                                         AND e.aggregate_id = ANY (aggregate_ids) AND e.sequence = 1)
    THEN
        RETURN NULL;
    END IF;

    WITH heads AS (
        SELECT p.partition, coalesce(head.position, 0) AS position
        FROM (SELECT DISTINCT c.partition FROM unnest(command_partitions) AS c (partition)) p
        LEFT JOIN LATERAL (
            SELECT e.position FROM events e WHERE e.partition = p.partition ORDER BY e.position DESC LIMIT 1
        ) head ON true
    ),
    numbered AS MATERIALIZED (
        SELECT c.command, c.partition,
               h.position + row_number() OVER (PARTITION BY c.partition ORDER BY c.command) AS position
        FROM unnest(command_partitions) WITH ORDINALITY AS c (partition, command)
        JOIN heads h ON h.partition = c.partition
    ),
    inserted AS (
        INSERT INTO events (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type,
                            event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at)
        SELECT n.partition, n.position, c.aggregate_type, c.aggregate_id, 1, c.owner_id, c.event_id, c.event_type,
               c.event_version, c.payload::json, c.metadata::json, c.command_id, 0, c.occurred_at, clock_timestamp()
        FROM unnest(command_ids, aggregate_types, aggregate_ids, owner_ids, event_ids, event_types, event_versions, payloads,
                    metadatas, occurred_ats)
             WITH ORDINALITY AS c (command_id, aggregate_type, aggregate_id, owner_id, event_id, event_type, event_version,
                                   payload, metadata, occurred_at, command)
        JOIN numbered n ON n.command = c.command
    )
    SELECT array_agg(n.position ORDER BY n.command) INTO taken FROM numbered n;
    RETURN taken;
END
$$;

REVOKE ALL ON FUNCTION append_new_streams FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_new_streams TO fittrack_command;
