-- Erasure (decision 13): an owner's log is closed with a farewell, then every event before it loses its content. Places stay:
-- positions have no gaps, streams keep their sequences, event ids keep the proofs. Backups and Kafka forget by their own clocks.
--
-- Written by: the eraser of the command API, through the two functions below; no role has UPDATE on events.
-- Read by:    append_events and imports (whose log is closed) and operators.

-- The role that erases; it is cluster-wide and may exist already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fittrack_eraser') THEN
        BEGIN
            CREATE ROLE fittrack_eraser NOLOGIN;
            -- As the other roles (0001).
            ALTER ROLE fittrack_eraser SET statement_timeout = '30s';
            ALTER ROLE fittrack_eraser SET lock_timeout = '10s';
            ALTER ROLE fittrack_eraser SET idle_in_transaction_session_timeout = '15s';
            ALTER ROLE fittrack_eraser SET enable_seqscan = off;
            ALTER ROLE fittrack_eraser SET jit = off;
            ALTER ROLE fittrack_eraser SET search_path = public;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database's migration made it at the same moment
        END;
    END IF;
END
$$;

CREATE TABLE erased_owners (
    owner_id  uuid        PRIMARY KEY,              -- serves: append_events
    partition integer     NOT NULL,
    position  bigint      NOT NULL,                 -- of account_erased, the owner's last event
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON erased_owners TO fittrack_eraser, fittrack_command;

-- Closes an owner's log: account_erased is its last event, whoever is appending at this moment. Gives its position; a log that is
-- closed already stays as it is, so a retry after a crash is harmless. The erasure's id is the event's command id.
CREATE FUNCTION close_log(erased_owner uuid, owner_partition integer, erasure_id uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    farewell bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1179210836, owner_partition); -- as append_events: until the commit is visible
    SELECT e.position INTO farewell FROM erased_owners e WHERE e.owner_id = erased_owner;
    IF FOUND THEN
        RETURN farewell;
    END IF;
    INSERT INTO events (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type,
                        event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at)
    SELECT owner_partition,
           coalesce((SELECT e.position FROM events e WHERE e.partition = owner_partition
                     ORDER BY e.position DESC LIMIT 1), 0) + 1,
           'athlete', erased_owner::text,
           coalesce((SELECT e.sequence FROM events e
                     WHERE e.aggregate_type = 'athlete' AND e.aggregate_id = erased_owner::text
                     ORDER BY e.sequence DESC LIMIT 1), 0) + 1,
           erased_owner, uuidv7(), 'account_erased', '1',
           json_build_object('type', 'account_erased', 'athlete_id', erased_owner), '{}',
           erasure_id, 0, clock_timestamp(), clock_timestamp()
    RETURNING events.position INTO farewell;
    INSERT INTO erased_owners (owner_id, partition, position) VALUES (erased_owner, owner_partition, farewell);
    RETURN farewell;
END
$$;

-- Takes the content from an owner's events at positions after `after_position` up to `upto_position`, and says how many there are
-- without content now. Only of a closed log, and never of the farewell. A span is one short transaction; a retry changes nothing.
CREATE FUNCTION redact_events(erased_owner uuid, owner_partition integer, after_position bigint, upto_position bigint)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    without_content bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM erased_owners e WHERE e.owner_id = erased_owner AND e.partition = owner_partition) THEN
        RAISE EXCEPTION 'the log of % is not closed: nothing of it is redacted', erased_owner USING ERRCODE = '42501';
    END IF;
    PERFORM set_config('fittrack.redacting', 'on', true);
    UPDATE events SET event_type = 'redacted', event_version = '1', payload = '{"type":"redacted"}', metadata = '{}',
                      occurred_at = recorded_at
    WHERE partition = owner_partition AND position > after_position AND position <= upto_position
      AND owner_id = erased_owner AND event_type NOT IN ('redacted', 'account_erased');
    PERFORM set_config('fittrack.redacting', 'off', true);
    SELECT count(*) INTO without_content FROM events
    WHERE partition = owner_partition AND position > after_position AND position <= upto_position
      AND owner_id = erased_owner AND event_type = 'redacted';
    RETURN without_content;
END
$$;

-- The log is never changed, but by redact_events while it says so. No role has UPDATE; this also keeps the owner from an accident.
CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('fittrack.redacting', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'events are never changed or removed (% on %)', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;

REVOKE ALL ON FUNCTION close_log, redact_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION close_log, redact_events TO fittrack_eraser;

-- The only way into the log, as in 0003; new is that nothing is appended to a closed log, and that a command which was answered without
-- an event is known again.
CREATE OR REPLACE FUNCTION append_events(
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
DECLARE
    touched integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events must run under READ COMMITTED, not %', current_setting('transaction_isolation');
    END IF;

    FOR touched IN SELECT DISTINCT p FROM unnest(command_partitions) AS p ORDER BY p LOOP
        PERFORM pg_advisory_xact_lock(1179210836, touched); -- 'FITT'
    END LOOP;

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
                   earlier.event_id IS NOT NULL OR answered.version IS NOT NULL, coalesce(stream.version, 0) <> a.expected_version, a.command) AS turn_in_stream,
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
    numbered AS (
        SELECT j.command, j.command_id, j.partition, j.aggregate_type, j.aggregate_id, j.owner_id,
               e.event_id, e.event_type, e.event_version, e.payload, e.metadata, e.occurred_at,
               row_number() OVER (PARTITION BY j.command ORDER BY e.ordinality) AS nth,
               j.expected_version,
               h.position + row_number() OVER (PARTITION BY j.partition ORDER BY e.ordinality) AS position
        FROM unnest(event_commands, event_ids, event_types, event_versions, payloads, metadatas, occurred_ats)
             WITH ORDINALITY AS e (command, event_id, event_type, event_version, payload, metadata, occurred_at, ordinality)
        JOIN judged j ON j.command = e.command AND j.outcome = 'stored'
        JOIN heads h ON h.partition = j.partition
    ),
    inserted AS (
        INSERT INTO events (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type,
                            event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at)
        SELECT n.partition, n.position, n.aggregate_type, n.aggregate_id, n.expected_version + n.nth, n.owner_id, n.event_id,
               n.event_type, n.event_version, n.payload::json, n.metadata::json, n.command_id, (n.nth - 1)::smallint,
               n.occurred_at, clock_timestamp()
        FROM numbered n ORDER BY n.partition, n.position
        RETURNING events.partition, events.position, events.event_id
    ),
    stored AS (
        SELECT n.command, max(n.expected_version + n.nth) AS version, min(n.position) AS first_position,
               max(n.position) AS last_position
        FROM numbered n JOIN inserted i ON i.partition = n.partition AND i.position = n.position
        GROUP BY n.command
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
