-- Sessions of other applications: what is known of the token in their cookie, and what they hold. An
-- older release leaves them alone, also when it ends everything.
CREATE TABLE application_sessions (
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    data       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;

CREATE INDEX application_sessions_by_expiry ON application_sessions (expires_at);
CREATE INDEX application_sessions_by_end ON application_sessions (ended_at)
    WHERE ended_at IS NOT NULL;
