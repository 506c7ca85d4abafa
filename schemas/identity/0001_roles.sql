-- The four roles of a FitTrack installation. They are cluster-wide and may exist already; whoever operates the cluster
-- gives them LOGIN and a password. Every database's migrations begin with this same file.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['fittrack_command', 'fittrack_relay', 'fittrack_projector', 'fittrack_query'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
                -- Short statements only: a long snapshot on the store makes every updated row slow.
                EXECUTE format('ALTER ROLE %I SET statement_timeout = ''30s''', role_name);
                EXECUTE format('ALTER ROLE %I SET lock_timeout = ''10s''', role_name);
                EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''15s''', role_name);
                -- Every statement of theirs has an index to go by. A plan made while a table was empty would scan it, and stay
                -- with its connection while the table grows: a lone append took 29 ms instead of 0.4 until the next ANALYZE.
                EXECUTE format('ALTER ROLE %I SET enable_seqscan = off', role_name);
                EXECUTE format('ALTER ROLE %I SET jit = off', role_name);
                -- Nobody's tables stand in for ours, whatever schema somebody makes.
                EXECUTE format('ALTER ROLE %I SET search_path = public', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database's migration made it at the same moment
            END;
        END IF;
    END LOOP;
END
$$;

-- Nothing is anybody's unless a later migration grants it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
