-- Whether anything of an owner is left in the read models: what an erasure's receipt is written on.
--
-- Called by: the eraser of the command API, which sees nothing else here.

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

-- One row for each build that has tables. Those that are loaded from the history are among them: they pass the farewell too.
CREATE FUNCTION rows_of_owner(asked_owner uuid, owner_partition integer)
    RETURNS TABLE (worker text, "position" bigint, rows bigint, parked bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    build record;
BEGIN
    FOR build IN SELECT b.worker, b.read_model FROM builds b WHERE b.state <> 'retired' ORDER BY b.worker LOOP
        worker := build.worker;
        SELECT coalesce(max(c.position), 0) INTO "position" FROM checkpoints c
        WHERE c.worker = build.worker AND c.partition = owner_partition;
        SELECT count(*) INTO parked FROM parked_events p
        WHERE p.worker = build.worker AND p.partition = owner_partition AND p.owner_id = asked_owner;
        EXECUTE format('SELECT count(*) FROM %I.%I WHERE athlete_id = $1', replace(build.worker, '.', '_'), build.read_model)
            INTO rows USING asked_owner;
        RETURN NEXT;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION rows_of_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rows_of_owner TO fittrack_eraser;
