-- Administrators, who are made at the command line alone: there is no account nobody made.
--
-- Written by: `command-api admin`. Read by: the command API.
ALTER TABLE accounts ADD COLUMN roles text[] NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['admin']);
-- While set, the password is a one-time secret: it signs nobody in, and until then it sets the first password, once.
ALTER TABLE accounts ADD COLUMN one_time_until timestamptz;
