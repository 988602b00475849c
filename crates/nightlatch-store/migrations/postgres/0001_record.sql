-- The record: users, their sessions, the revocation feed, and what throttles count.
--
-- Written for the schema `nightlatch`; another DATABASE_SCHEMA is put in its place. Times are
-- microseconds since the Unix epoch, UTC. Migrations only ever add: an older release runs on a
-- newer schema while nodes are replaced one by one.

-- One row: where the feed ends. Whoever writes to the feed updates it last and holds it until its
-- commit, so positions are in commit order.
CREATE TABLE nightlatch.feed_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL,
    record_id uuid NOT NULL,
    position bigint NOT NULL,
    row_id bigint NOT NULL,
    pruned_to bigint NOT NULL
) WITH (fillfactor = 10); -- room for the next version of the row on its own page

CREATE TABLE nightlatch.feed (
    position bigint PRIMARY KEY,
    id bigint NOT NULL, -- random: the same position in another history has another one
    -- 0 start, 1 session, 2 user below generation, 3 everything, 4 refetch user
    kind smallint NOT NULL,
    session_id uuid,
    user_id uuid,
    generation bigint,
    at bigint NOT NULL
);

CREATE TABLE nightlatch.users (
    id uuid PRIMARY KEY,
    username text NOT NULL,
    username_folded text COLLATE "C" NOT NULL CONSTRAINT users_username_key UNIQUE,
    email text,
    email_folded text COLLATE "C" CONSTRAINT users_email_key UNIQUE,
    email_verified boolean NOT NULL,
    name text NOT NULL,
    groups text[] NOT NULL,
    password_hash text,
    hash_kind text COLLATE "C",
    generation bigint NOT NULL,
    enabled boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) WITH (fillfactor = 90);

CREATE INDEX users_by_hash_kind ON nightlatch.users (hash_kind);

-- No foreign key to users: the ended sessions of a deleted user are kept for a while like others.
CREATE TABLE nightlatch.sessions (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL CONSTRAINT sessions_token_key UNIQUE,
    user_id uuid NOT NULL,
    generation bigint NOT NULL,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    remember boolean NOT NULL,
    address inet NOT NULL,
    user_agent text NOT NULL,
    ended_at bigint
) WITH (fillfactor = 80); -- last_seen_at changes often and is in no index

CREATE INDEX sessions_by_user ON nightlatch.sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON nightlatch.sessions (expires_at);
CREATE INDEX sessions_by_end ON nightlatch.sessions (ended_at) WHERE ended_at IS NOT NULL;

-- From where an account has logged in.
CREATE TABLE nightlatch.known_prefixes (
    user_id uuid NOT NULL,
    prefix bytea NOT NULL,
    last_login_at bigint NOT NULL,
    PRIMARY KEY (user_id, prefix)
);

CREATE INDEX known_prefixes_by_age ON nightlatch.known_prefixes (last_login_at);

CREATE TABLE nightlatch.throttle_failures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope smallint NOT NULL,
    digest bytea NOT NULL,
    at bigint NOT NULL
);

CREATE INDEX throttle_failures_by_age ON nightlatch.throttle_failures (at);

CREATE TABLE nightlatch.shared_secrets (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

-- A history begins with a row that ends nothing, so that there always is a newest one.
INSERT INTO nightlatch.feed (position, id, kind, at)
VALUES (
    1,
    ('x' || translate(left(gen_random_uuid()::text, 18), '-', ''))::bit(64)::bigint & 9223372036854775807,
    0,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
);

INSERT INTO nightlatch.feed_head (epoch, record_id, position, row_id, pruned_to)
SELECT 1, gen_random_uuid(), position, id, 0 FROM nightlatch.feed;
