-- The event store: one insert-only table, a log per partition.
--
-- Written by: append_events() alone (0003). No role has INSERT, UPDATE or DELETE here.
-- Read by:    the command API (one stream), the relay and the projectors (a partition from a position on).
--
-- The columns aggregate_type .. metadata are those of postgres-es, whose PostgresEventRepository reads any stream here.
CREATE TABLE events (
    partition      integer     NOT NULL,               -- kafka's murmur2 of owner_id, modulo store_settings.partitions
    position       bigint      NOT NULL,               -- 1, 2, 3 ... within the partition, without gaps, in commit order
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence >= 1), -- 1, 2, 3 ... within the stream
    owner_id       uuid        NOT NULL,               -- the athlete or club whose log this is; the key in Kafka
    event_id       uuid        NOT NULL,
    event_type     text        NOT NULL,
    event_version  text        NOT NULL,
    payload        json        NOT NULL,               -- json, not jsonb: the very bytes go to Kafka, and it costs a third less
    metadata       json        NOT NULL,
    command_id     uuid        NOT NULL,               -- the command that caused the event: its idempotency record
    command_index  smallint    NOT NULL CHECK (command_index >= 0), -- 0, 1, 2 ... among the events of the command
    occurred_at    timestamptz NOT NULL,               -- decided
    recorded_at    timestamptz NOT NULL,               -- stored, by this server's clock
    PRIMARY KEY (partition, position)                  -- serves: the head of a partition, the relay, projectors, rebuilds
);

-- Serves: loading a stream, and refusing a second event of the same sequence whatever else goes wrong.
CREATE UNIQUE INDEX events_stream ON events (aggregate_type, aggregate_id, sequence);

-- Serves: "was this command stored already?", and refuses a second one.
CREATE UNIQUE INDEX events_command ON events (command_id) WHERE command_index = 0;

-- Commands under a client's key that were answered though they stored nothing, so that the same key gets the same answer.
--
-- Written by: the command API, before it answers. Read by: append_events() and the command API. Swept after two days.
CREATE TABLE answered_commands (
    command_id   uuid        PRIMARY KEY,
    owner_id     uuid        NOT NULL,
    aggregate_id text        NOT NULL,                 -- what the answer names, with its place
    version      bigint      NOT NULL,
    partition    integer     NOT NULL,
    position     bigint      NOT NULL,
    metadata     json        NOT NULL,                 -- the fingerprint, as an event has it
    answered_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Serves: the sweeper.
CREATE INDEX answered_commands_answered ON answered_commands (answered_at);
-- Serves: erasure.
CREATE INDEX answered_commands_owner ON answered_commands (owner_id);

GRANT SELECT, INSERT, DELETE ON answered_commands TO fittrack_command;

-- Facts of this store, checked by every process at its start.
CREATE TABLE store_settings (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 1024)
);
INSERT INTO store_settings (partitions) VALUES (32);

-- The log is never changed. Erasure (later) goes through one function of its own role, which says so to this trigger.
CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or removed (% on %)', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();

GRANT SELECT ON events, store_settings TO fittrack_command, fittrack_relay, fittrack_projector;
