-- What the query API signs the cursors of its lists with: one secret for all its replicas, made here, so that nobody has to set it.
--
-- Written by: this migration. Whoever wants another one updates the row and restarts the replicas; cursors given out before are
-- then refused, and their readers begin again.
-- Read by:    the query API when it starts; nobody else needs it.
CREATE TABLE cursor_key (
    is_the_only_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_one),
    secret          bytea   NOT NULL CHECK (octet_length(secret) = 32)
);

-- 244 random bits.
INSERT INTO cursor_key (secret) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

GRANT SELECT ON cursor_key TO fittrack_query;
