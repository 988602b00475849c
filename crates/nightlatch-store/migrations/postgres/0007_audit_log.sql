-- The audit log: who did what to whose account. An entry is written by the statement that makes the
-- change that it tells of. An older release writes none.
CREATE TABLE nightlatch.audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    action text COLLATE "C" NOT NULL,
    user_id uuid,
    username text,
    session_id uuid,
    count bigint,
    detail text,
    actor text COLLATE "C" NOT NULL,
    actor_name text,
    address inet,
    request_id text
);

CREATE INDEX audit_log_by_user ON nightlatch.audit_log (user_id, id) WHERE user_id IS NOT NULL;
