-- Accounts that are being erased or were: the job, how far it is, and the receipt.
--
-- Written and read by: the command API alone. Rows stay: after a backup was restored they say whom to erase again. An athlete's
-- id names nobody once the rest is gone.
CREATE TABLE erasures (
    erasure_id       uuid        PRIMARY KEY,       -- random: whoever has it may read the receipt, which names nobody
    athlete_id       uuid        NOT NULL UNIQUE,   -- serves: asking again finds the first
    requested_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_by     text        NOT NULL CHECK (requested_by IN ('athlete', 'operator')),
    next_step        text        NOT NULL DEFAULT 'close_log' CHECK (next_step IN (
                         'close_log', 'redact_events', 'remove_recordings', 'remove_account', 'await_read_models', 'done')),
    farewell         bigint,                        -- position of account_erased, once the log is closed
    redacted_upto    bigint      NOT NULL DEFAULT 0,
    removed          jsonb       NOT NULL DEFAULT '{}', -- what was removed where: the receipt's numbers
    waits_for        text,                          -- what the step needs that is not so yet, for operators
    finished_at      timestamptz,
    lease_expires_at timestamptz,                   -- somebody works on it until then; a second one would do no harm
    CHECK ((finished_at IS NULL) = (next_step <> 'done'))
);
-- Serves: the eraser.
CREATE INDEX erasures_unfinished ON erasures (requested_at) WHERE finished_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON erasures TO fittrack_command;

-- An account is closed from the moment its erasure is asked for until it is gone. The lock is short: nobody waits for a scan,
-- because every row is known to hold by the narrower rule before.
ALTER TABLE accounts DROP CONSTRAINT accounts_status_check;
ALTER TABLE accounts ADD CONSTRAINT accounts_status_check
    CHECK (status IN ('pending', 'active', 'disabled', 'erasing')) NOT VALID;
ALTER TABLE sessions DROP CONSTRAINT sessions_ended_by_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_ended_by_check
    CHECK (ended_by IN ('logout', 'password_change', 'token_reuse', 'too_many', 'administrator', 'erasure')) NOT VALID;

-- Where a request came from is kept for ninety days, who did what for good.
CREATE FUNCTION forget_origins() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    forgotten bigint;
BEGIN
    PERFORM set_config('fittrack.forgetting', 'on', true);
    UPDATE audit_log SET address = NULL, user_agent = NULL
    WHERE entry_id IN (
        SELECT entry_id FROM audit_log
        WHERE recorded_at < clock_timestamp() - interval '90 days' AND (address IS NOT NULL OR user_agent IS NOT NULL)
        ORDER BY recorded_at LIMIT 1000);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    PERFORM set_config('fittrack.forgetting', 'off', true);
    RETURN forgotten;
END
$$;
-- Serves: forget_origins.
CREATE INDEX audit_log_origins ON audit_log (recorded_at) WHERE address IS NOT NULL OR user_agent IS NOT NULL;

CREATE OR REPLACE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('fittrack.forgetting', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is never changed or shortened (% on %)', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;
REVOKE ALL ON FUNCTION forget_origins FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_origins TO fittrack_command;
