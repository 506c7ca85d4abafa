-- What consistency tokens are signed with: one secret for all replicas of both APIs, made here, so that nobody has to set it. It is in
-- this database because it is the one that both may read.
--
-- Written by: this migration. Whoever wants another one updates the row and restarts the replicas of both APIs; tokens given out
-- before are then refused, and their readers ask without one.
-- Read by:    the command API and the query API when they start; nobody else needs it.
CREATE TABLE token_key (
    is_the_only_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_one),
    secret          bytea   NOT NULL CHECK (octet_length(secret) = 32)
);

-- 244 random bits.
INSERT INTO token_key (secret) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

GRANT SELECT ON token_key TO fittrack_command, fittrack_query;
