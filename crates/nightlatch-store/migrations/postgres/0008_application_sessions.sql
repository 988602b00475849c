-- Sessions of other applications: what is known of the token in their cookie, and what they hold. An
-- older release leaves them alone, also when it ends everything.
CREATE TABLE nightlatch.application_sessions (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL CONSTRAINT application_sessions_token_key UNIQUE,
    data bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint
) WITH (fillfactor = 70); -- saved often

CREATE INDEX application_sessions_by_expiry ON nightlatch.application_sessions (expires_at);
CREATE INDEX application_sessions_by_end ON nightlatch.application_sessions (ended_at)
    WHERE ended_at IS NOT NULL;
