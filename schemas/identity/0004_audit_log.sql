-- Who did what to accounts and sessions, when, from where; the words are those of OWASP's logging vocabulary.
--
-- Written by: the command API, in the transaction of what it says wherever there is one. Never changed, by nobody.
-- Read by:    whoever investigates. Rows name athletes by id alone, so they may stay when an athlete goes.
CREATE TABLE audit_log (
    entry_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event       text        NOT NULL CHECK (event ~ '^[a-z][a-z_]{2,62}$'),
    athlete_id  uuid,                          -- whose account it is about; null where there is none
    actor       text        NOT NULL,          -- who did it: an athlete's id, `anonymous`, or `operator`
    session_id  uuid,
    address     text        CHECK (length(address) <= 64),     -- the network it came from
    user_agent  text        CHECK (length(user_agent) <= 200), -- control characters escaped
    trace_id    text        CHECK (length(trace_id) <= 64),    -- finds the request's log lines
    details     jsonb       NOT NULL DEFAULT '{}'
);
-- Serves: the story of one athlete.
CREATE INDEX audit_log_athlete ON audit_log (athlete_id, recorded_at) WHERE athlete_id IS NOT NULL;
-- Serves: what happened at a time.
CREATE INDEX audit_log_recorded ON audit_log (recorded_at);

CREATE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is never changed or shortened (% on %)', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;
CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_log();

GRANT SELECT, INSERT ON audit_log TO fittrack_command;
