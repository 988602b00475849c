-- Users whom another service knows: its id of them. An older release leaves it alone, and finds no
-- password of theirs.
ALTER TABLE nightlatch.users ADD COLUMN subject text COLLATE "C";

CREATE UNIQUE INDEX users_by_subject ON nightlatch.users (subject) WHERE subject IS NOT NULL;
