-- Refresh tokens of sessions whose clients have tokens instead of a cookie, and the keys that access
-- tokens are signed with. An older release leaves both alone.

-- What is known of the refresh token that may be exchanged now, of the one before, by which key (its id)
-- the one followed from the other, and when, in service time.
ALTER TABLE sessions ADD COLUMN refresh_hash BLOB;
ALTER TABLE sessions ADD COLUMN refresh_previous BLOB;
ALTER TABLE sessions ADD COLUMN refresh_key BLOB;
ALTER TABLE sessions ADD COLUMN refresh_step INTEGER;
ALTER TABLE sessions ADD COLUMN refresh_exchanged_at INTEGER;
ALTER TABLE sessions ADD COLUMN refresh_expires_at INTEGER;

CREATE TABLE signing_keys (
    number     INTEGER PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    stored_at  INTEGER NOT NULL,
    signs_from INTEGER NOT NULL
) STRICT;
