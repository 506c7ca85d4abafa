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

GRANT SELECT ON erased_owners TO fittrack_eraser;

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
