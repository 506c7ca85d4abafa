-- The logs that are closed: nothing is appended behind the farewell of an owner whose account was erased (0006).
--
-- Written by: close_log().
-- Read by:    append_events, imports and operators.
CREATE TABLE erased_owners (
    owner_id  uuid        PRIMARY KEY,              -- serves: append_events
    partition integer     NOT NULL,
    position  bigint      NOT NULL,                 -- of account_erased, the owner's last event
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON erased_owners TO fittrack_command;

-- The only way into the log. Appends a batch of commands, each with one or more events, in one transaction.
--
-- A command is one row of the first six arrays; an event one row of the last six, where `event_command` is the command's
-- place (from 1) and events of a command stand in order. Every command gets one row back:
--
--   stored    its events are in the log: stream `version` after it, its first and last position
--   duplicate its command id was in the log already, or was answered without an event: version, positions and metadata are
--             those of the first time
--   conflict  the stream is not at the expected version: `version` is where it is
--
-- A batch with a command of an owner whose log is closed is refused whole (FT001).
--
-- Why there is never a gap or a race: the advisory lock of every touched partition is taken first, in ascending order,
-- and falls only after the commit is visible; so under READ COMMITTED the statements below see every earlier append.
-- Nothing is updated, so an old snapshot somewhere does not slow this down.
CREATE FUNCTION append_events(
    command_ids        uuid[],
    command_partitions integer[],
    aggregate_types    text[],
    aggregate_ids      text[],
    owner_ids          uuid[],
    expected_versions  bigint[],
    event_commands     integer[],
    event_ids          uuid[],
    event_types        text[],
    event_versions     text[],
    payloads           text[],
    metadatas          text[],
    occurred_ats       timestamptz[]
) RETURNS TABLE (
    command        integer,
    outcome        text,
    version        bigint,
    partition      integer,
    first_position bigint,
    last_position  bigint,
    aggregate_id   text,   -- of a duplicate: the stream its first copy went to
    first_event_id uuid,   -- of a duplicate, where it stored something
    metadata       text    -- of a duplicate
) LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp
  -- One plan for good, the right one even when it was made on an empty table: one index lookup for each command (a LATERAL
  -- with LIMIT can be nothing else), and hash joins between what was asked and what was found.
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
  SET enable_nestloop = off
  SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events must run under READ COMMITTED, not %', current_setting('transaction_isolation');
    END IF;

    PERFORM pg_advisory_xact_lock(1179210836, partition) -- 'FITT'
    FROM (SELECT DISTINCT p FROM unnest(command_partitions) AS p ORDER BY p) AS touched (partition);

    -- Under the locks: close_log takes the same, so nothing is appended behind the farewell.
    IF EXISTS (SELECT FROM erased_owners e WHERE e.owner_id = ANY (owner_ids)) THEN
        RAISE EXCEPTION 'the log of an owner in this batch is closed: the account was erased' USING ERRCODE = 'FT001';
    END IF;

    RETURN QUERY
    WITH asked AS (
        SELECT ordinality::integer AS command, c.command_id, c.partition, c.aggregate_type, c.aggregate_id, c.owner_id,
               c.expected_version
        FROM unnest(command_ids, command_partitions, aggregate_types, aggregate_ids, owner_ids, expected_versions)
             WITH ORDINALITY AS c (command_id, partition, aggregate_type, aggregate_id, owner_id, expected_version, ordinality)
    ),
    checked AS (
        SELECT a.*, earlier.event_id AS earlier_event_id, earlier.partition AS earlier_partition,
               earlier.position AS earlier_position, earlier.aggregate_type AS earlier_type,
               earlier.aggregate_id AS earlier_id, earlier.sequence AS earlier_sequence, earlier.metadata AS earlier_metadata,
               answered.partition AS answered_partition, answered.position AS answered_position,
               answered.version AS answered_version, answered.aggregate_id AS answered_id, answered.metadata AS answered_metadata,
               coalesce(stream.version, 0) AS current_version,
               -- Of several commands in this batch on one stream, or with one id, the first that fits wins.
               row_number() OVER (PARTITION BY a.aggregate_type, a.aggregate_id ORDER BY
                   earlier.event_id IS NOT NULL OR answered.version IS NOT NULL,
                   coalesce(stream.version, 0) <> a.expected_version, a.command) AS turn_in_stream,
               row_number() OVER (PARTITION BY a.command_id ORDER BY a.command) AS turn_of_id
        FROM asked a
        LEFT JOIN LATERAL (
            SELECT e.event_id, e.partition, e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.metadata
            FROM events e WHERE e.command_id = a.command_id AND e.command_index = 0
            LIMIT 1 -- without it the plan made on an empty table joins with a scan of the whole index
        ) earlier ON true
        LEFT JOIN LATERAL (
            SELECT k.partition, k.position, k.version, k.aggregate_id, k.metadata
            FROM answered_commands k WHERE k.command_id = a.command_id LIMIT 1
        ) answered ON true
        LEFT JOIN LATERAL (
            SELECT e.sequence AS version FROM events e
            WHERE e.aggregate_type = a.aggregate_type AND e.aggregate_id = a.aggregate_id
            ORDER BY e.sequence DESC LIMIT 1
        ) stream ON true
    ),
    judged AS (
        SELECT c.*,
               CASE WHEN earlier_event_id IS NOT NULL OR answered_version IS NOT NULL THEN 'duplicate'
                    WHEN current_version <> expected_version OR turn_in_stream > 1 OR turn_of_id > 1 THEN 'conflict'
                    ELSE 'stored' END AS outcome
        FROM checked c
    ),
    heads AS (
        SELECT p.partition, coalesce(head.position, 0) AS position
        FROM (SELECT DISTINCT j.partition FROM judged j WHERE j.outcome = 'stored') p
        LEFT JOIN LATERAL (
            SELECT e.position FROM events e WHERE e.partition = p.partition ORDER BY e.position DESC LIMIT 1
        ) head ON true
    ),
    -- Numbers alone are sorted and kept; the payloads go straight from the arrays into the table.
    numbered AS (
        SELECT e.ordinality, j.command,
               j.expected_version + row_number() OVER (PARTITION BY j.command ORDER BY e.ordinality) AS sequence,
               h.position + row_number() OVER (PARTITION BY j.partition ORDER BY e.ordinality) AS position
        FROM unnest(event_commands) WITH ORDINALITY AS e (command, ordinality)
        JOIN judged j ON j.command = e.command AND j.outcome = 'stored'
        JOIN heads h ON h.partition = j.partition
    ),
    inserted AS (
        INSERT INTO events (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type,
                            event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at)
        SELECT j.partition, n.position, j.aggregate_type, j.aggregate_id, n.sequence, j.owner_id, e.event_id, e.event_type,
               e.event_version, e.payload::json, e.metadata::json, j.command_id,
               (n.sequence - j.expected_version - 1)::smallint, e.occurred_at, clock_timestamp()
        FROM unnest(event_ids, event_types, event_versions, payloads, metadatas, occurred_ats)
             WITH ORDINALITY AS e (event_id, event_type, event_version, payload, metadata, occurred_at, ordinality)
        JOIN numbered n ON n.ordinality = e.ordinality
        JOIN judged j ON j.command = n.command
    ),
    stored AS (
        SELECT n.command, max(n.sequence) AS version, min(n.position) AS first_position, max(n.position) AS last_position
        FROM numbered n GROUP BY n.command
    )
    SELECT j.command, j.outcome,
           CASE j.outcome WHEN 'stored' THEN s.version WHEN 'duplicate' THEN coalesce(d.version, j.answered_version)
                          ELSE j.current_version END,
           CASE j.outcome WHEN 'duplicate' THEN coalesce(j.earlier_partition, j.answered_partition) ELSE j.partition END,
           CASE j.outcome WHEN 'duplicate' THEN coalesce(j.earlier_position, j.answered_position) ELSE s.first_position END,
           CASE j.outcome WHEN 'duplicate' THEN coalesce(d.last_position, j.answered_position) ELSE s.last_position END,
           coalesce(j.earlier_id, j.answered_id, j.aggregate_id),
           j.earlier_event_id,
           coalesce(j.earlier_metadata, j.answered_metadata)::text
    FROM judged j
    LEFT JOIN stored s ON s.command = j.command
    -- The last event of a command that was stored before: its events follow each other in the stream.
    LEFT JOIN LATERAL (
        SELECT e.sequence AS version, e.position AS last_position FROM events e
        WHERE j.outcome = 'duplicate' AND e.aggregate_type = j.earlier_type AND e.aggregate_id = j.earlier_id
          AND e.sequence >= j.earlier_sequence AND e.sequence < j.earlier_sequence + 100 AND e.command_id = j.command_id
        ORDER BY e.sequence DESC LIMIT 1
    ) d ON true
    ORDER BY j.command;
END
$$;

REVOKE ALL ON FUNCTION append_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events TO fittrack_command;
