-- Servers that say "alive", the clock that they carry on, and whose failures those of throttles are.

CREATE TABLE nodes (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    beat_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX nodes_by_beat ON nodes (beat_at);

-- One row. Service time in microseconds, and up to when it was carried on; NULL before the first
-- heartbeat.
CREATE TABLE service_clock (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    service_time INTEGER NOT NULL,
    beat_at      INTEGER
) STRICT;

INSERT INTO service_clock (one, service_time, beat_at) VALUES (1, 0, NULL);

-- One row: the position of the newest failure. Positions grow by one in commit order and are never
-- used twice, as row ids would be after a sweep. An older release writes neither node nor position.
CREATE TABLE throttle_head (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;

INSERT INTO throttle_head (one, position) VALUES (1, 0);

ALTER TABLE throttle_failures ADD COLUMN node BLOB;
ALTER TABLE throttle_failures ADD COLUMN position INTEGER;

CREATE INDEX throttle_failures_by_position ON throttle_failures (position)
    WHERE position IS NOT NULL;
