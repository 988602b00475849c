-- Nodes that say "alive", the clock that they carry on, and whose failures those of throttles are.

CREATE TABLE nightlatch.nodes (
    id uuid PRIMARY KEY,
    beat_at bigint NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX nodes_by_beat ON nightlatch.nodes (beat_at);

-- One row. Service time in microseconds, and up to when it was carried on.
CREATE TABLE nightlatch.service_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    service_time bigint NOT NULL,
    beat_at bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO nightlatch.service_clock (service_time, beat_at)
VALUES (0, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

-- One row: the position of the newest failure. Whoever appends updates it and holds it until its
-- commit, so positions are in commit order, and a node that has seen all up to a position has
-- missed none. An older release writes neither node nor position.
CREATE TABLE nightlatch.throttle_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO nightlatch.throttle_head (position) VALUES (0);

ALTER TABLE nightlatch.throttle_failures ADD COLUMN node uuid, ADD COLUMN position bigint;

CREATE INDEX throttle_failures_by_position ON nightlatch.throttle_failures (position)
    WHERE position IS NOT NULL;
