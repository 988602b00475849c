-- Users whom another service knows: its id of them. An older release leaves it alone, and finds no
-- password of theirs.
ALTER TABLE users ADD COLUMN subject TEXT;

CREATE UNIQUE INDEX users_by_subject ON users (subject) WHERE subject IS NOT NULL;
