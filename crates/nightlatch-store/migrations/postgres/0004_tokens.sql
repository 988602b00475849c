-- Refresh tokens of sessions whose clients have tokens instead of a cookie, and the keys that access
-- tokens are signed with. An older release leaves both alone.

-- What is known of the refresh token that may be exchanged now, of the one before, by which key (its id)
-- the one followed from the other, and when, in service time.
ALTER TABLE nightlatch.sessions
    ADD COLUMN refresh_hash bytea,
    ADD COLUMN refresh_previous bytea,
    ADD COLUMN refresh_key bytea,
    ADD COLUMN refresh_step bigint,
    ADD COLUMN refresh_exchanged_at bigint,
    ADD COLUMN refresh_expires_at bigint;

CREATE TABLE nightlatch.signing_keys (
    number bigint PRIMARY KEY,
    sealed bytea NOT NULL,
    stored_at bigint NOT NULL,
    signs_from bigint NOT NULL
);
