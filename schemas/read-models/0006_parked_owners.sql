-- The query API may know whose events a projection has parked, not what is in them: while those of an owner's privacy zones
-- wait, it cannot know what is to be hidden and shows nothing of the owner's tracks to others.
GRANT SELECT (worker, partition, owner_id) ON parked_events TO fittrack_query;
