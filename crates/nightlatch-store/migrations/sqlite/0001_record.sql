-- The first schema of the record.
-- Times are microseconds since the Unix epoch, ids are UUIDs as 16 bytes.

-- How other programs (and we) know the file for a record of Nightlatch: "NLat".
PRAGMA application_id = 0x4E4C6174;

-- Where the revocation feed ends. One row: whoever appends to the feed updates it, so that
-- positions grow by one in commit order.
CREATE TABLE feed_head (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    epoch     INTEGER NOT NULL,
    record_id BLOB    NOT NULL CHECK (length(record_id) = 16),
    position  INTEGER NOT NULL,
    row_id    INTEGER NOT NULL,
    pruned_to INTEGER NOT NULL
) STRICT;

-- kind: 0 start, 1 session, 2 user below generation, 3 everything, 4 refetch user.
CREATE TABLE feed (
    position   INTEGER PRIMARY KEY,
    id         INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    session_id BLOB,
    user_id    BLOB,
    generation INTEGER,
    at         INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username        TEXT    NOT NULL,
    username_folded TEXT    NOT NULL UNIQUE,
    email           TEXT,
    email_folded    TEXT    UNIQUE,
    email_verified  INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    groups          TEXT    NOT NULL,
    password_hash   TEXT,
    hash_kind       TEXT,
    generation      INTEGER NOT NULL,
    enabled         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX users_by_hash_kind ON users (hash_kind);

-- No foreign key to users: the ended sessions of a deleted user are kept like all others.
CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    token_hash   BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id      BLOB    NOT NULL,
    generation   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    remember     INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- From where accounts have logged in.
CREATE TABLE known_prefixes (
    user_id       BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    prefix        BLOB    NOT NULL,
    last_login_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, prefix)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_prefixes_by_age ON known_prefixes (last_login_at);

CREATE TABLE throttle_failures (
    scope  INTEGER NOT NULL,
    digest BLOB    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE INDEX throttle_failures_by_age ON throttle_failures (at);

-- Random values that all nodes must have in common.
CREATE TABLE shared_secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
