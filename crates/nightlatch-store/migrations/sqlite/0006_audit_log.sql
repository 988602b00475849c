-- The audit log: who did what to whose account. An entry is written with the change that it tells of.
-- An older release writes none.
CREATE TABLE audit_log (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    user_id    BLOB,
    username   TEXT,
    session_id BLOB,
    count      INTEGER,
    detail     TEXT,
    actor      TEXT    NOT NULL,
    actor_name TEXT,
    address    TEXT,
    request_id TEXT
) STRICT;

CREATE INDEX audit_log_by_user ON audit_log (user_id, id) WHERE user_id IS NOT NULL;
