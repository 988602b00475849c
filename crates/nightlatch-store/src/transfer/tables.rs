//! What moves, and how each table is read and written.
//!
//! Not the feed: the new record has a history of its own, in which every copy that anybody holds of the
//! old one is a miss.

/// A table on its way.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Gives a JSON object for each row.
    pub(crate) read: &'static str,
    /// Takes a list of them as `$1`.
    pub(crate) write: &'static str,
    /// How many rows there are in the end.
    pub(crate) count: &'static str,
    /// Whether each record has its rows from the beginning on.
    pub(crate) is_preset: bool,
}

pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "users",
        read: "SELECT json_object('id', hex(id), 'username', username,
                'username_folded', username_folded, 'email', email, 'email_folded', email_folded,
                'email_verified', email_verified, 'name', name, 'groups', json(groups),
                'password_hash', password_hash, 'hash_kind', hash_kind, 'generation', generation,
                'enabled', enabled, 'created_at', created_at, 'updated_at', updated_at,
                'subject', subject, 'standing_asked_at', standing_asked_at)
            FROM users",
        write: "INSERT INTO nightlatch.users (id, username, username_folded, email, email_folded,
                email_verified, name, groups, password_hash, hash_kind, generation, enabled,
                created_at, updated_at, subject, standing_asked_at)
            SELECT id::uuid, username, username_folded, email, email_folded,
                email_verified <> 0, name, ARRAY(SELECT jsonb_array_elements_text(r.groups)),
                password_hash, hash_kind, generation, enabled <> 0,
                created_at, updated_at, subject, standing_asked_at
            FROM jsonb_to_recordset($1::text::jsonb) AS r (id text, username text,
                username_folded text, email text, email_folded text, email_verified int, name text,
                groups jsonb, password_hash text, hash_kind text, generation bigint, enabled int,
                created_at bigint, updated_at bigint, subject text, standing_asked_at bigint)",
        count: "SELECT count(*) FROM nightlatch.users",
        is_preset: false,
    },
    Table {
        name: "sessions",
        read: "SELECT json_object('id', hex(id), 'token_hash', hex(token_hash),
                'user_id', hex(user_id), 'generation', generation, 'created_at', created_at,
                'last_seen_at', last_seen_at, 'expires_at', expires_at, 'remember', remember,
                'address', address, 'user_agent', user_agent, 'ended_at', ended_at,
                'refresh_hash', iif(refresh_hash IS NULL, NULL, hex(refresh_hash)),
                'refresh_previous', iif(refresh_previous IS NULL, NULL, hex(refresh_previous)),
                'refresh_key', iif(refresh_key IS NULL, NULL, hex(refresh_key)),
                'refresh_step', refresh_step, 'refresh_exchanged_at', refresh_exchanged_at,
                'refresh_expires_at', refresh_expires_at)
            FROM sessions",
        write: "INSERT INTO nightlatch.sessions (id, token_hash, user_id, generation, created_at,
                last_seen_at, expires_at, remember, address, user_agent, ended_at, refresh_hash,
                refresh_previous, refresh_key, refresh_step, refresh_exchanged_at,
                refresh_expires_at)
            SELECT id::uuid, decode(token_hash, 'hex'), user_id::uuid, generation, created_at,
                last_seen_at, expires_at, remember <> 0, address::inet, user_agent, ended_at,
                decode(refresh_hash, 'hex'), decode(refresh_previous, 'hex'),
                decode(refresh_key, 'hex'), refresh_step, refresh_exchanged_at, refresh_expires_at
            FROM jsonb_to_recordset($1::text::jsonb) AS r (id text, token_hash text, user_id text,
                generation bigint, created_at bigint, last_seen_at bigint, expires_at bigint,
                remember int, address text, user_agent text, ended_at bigint, refresh_hash text,
                refresh_previous text, refresh_key text, refresh_step bigint,
                refresh_exchanged_at bigint, refresh_expires_at bigint)",
        count: "SELECT count(*) FROM nightlatch.sessions",
        is_preset: false,
    },
    Table {
        name: "known_prefixes",
        read: "SELECT json_object('user_id', hex(user_id), 'prefix', hex(prefix),
                'last_login_at', last_login_at) FROM known_prefixes",
        write: "INSERT INTO nightlatch.known_prefixes (user_id, prefix, last_login_at)
            SELECT user_id::uuid, decode(prefix, 'hex'), last_login_at
            FROM jsonb_to_recordset($1::text::jsonb)
                AS r (user_id text, prefix text, last_login_at bigint)",
        count: "SELECT count(*) FROM nightlatch.known_prefixes",
        is_preset: false,
    },
    Table {
        name: "throttle_failures",
        read: "SELECT json_object('scope', scope, 'digest', hex(digest), 'at', at,
                'node', iif(node IS NULL, NULL, hex(node)), 'position', position)
            FROM throttle_failures",
        write: "INSERT INTO nightlatch.throttle_failures (scope, digest, at, node, position)
            SELECT scope, decode(digest, 'hex'), at, node::uuid, position
            FROM jsonb_to_recordset($1::text::jsonb)
                AS r (scope smallint, digest text, at bigint, node text, position bigint)",
        count: "SELECT count(*) FROM nightlatch.throttle_failures",
        is_preset: false,
    },
    Table {
        name: "throttle_head",
        read: "SELECT json_object('position', position) FROM throttle_head",
        write: "UPDATE nightlatch.throttle_head SET position = r.position
            FROM jsonb_to_recordset($1::text::jsonb) AS r (position bigint)",
        count: "SELECT count(*) FROM nightlatch.throttle_head",
        is_preset: true,
    },
    Table {
        name: "service_clock",
        // Grace periods are counted by it. It stands still until a server lives there.
        read: "SELECT json_object('service_time', service_time) FROM service_clock",
        write: "UPDATE nightlatch.service_clock SET service_time = r.service_time,
                beat_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            FROM jsonb_to_recordset($1::text::jsonb) AS r (service_time bigint)",
        count: "SELECT count(*) FROM nightlatch.service_clock",
        is_preset: true,
    },
    Table {
        name: "signing_keys",
        read: "SELECT json_object('number', number, 'sealed', hex(sealed), 'stored_at', stored_at,
                'signs_from', signs_from) FROM signing_keys",
        write: "INSERT INTO nightlatch.signing_keys (number, sealed, stored_at, signs_from)
            SELECT number, decode(sealed, 'hex'), stored_at, signs_from
            FROM jsonb_to_recordset($1::text::jsonb)
                AS r (number bigint, sealed text, stored_at bigint, signs_from bigint)",
        count: "SELECT count(*) FROM nightlatch.signing_keys",
        is_preset: false,
    },
    Table {
        name: "audit_log",
        // In their order, so that their places rise there, too.
        read: "SELECT json_object('id', id, 'at', at, 'action', action,
                'user_id', iif(user_id IS NULL, NULL, hex(user_id)), 'username', username,
                'session_id', iif(session_id IS NULL, NULL, hex(session_id)), 'count', count,
                'detail', detail, 'actor', actor, 'actor_name', actor_name, 'address', address,
                'request_id', request_id)
            FROM audit_log ORDER BY id",
        write: "INSERT INTO nightlatch.audit_log (at, action, user_id, username, session_id, count,
                detail, actor, actor_name, address, request_id)
            SELECT at, action, user_id::uuid, username, session_id::uuid, count, detail, actor,
                actor_name, address::inet, request_id
            FROM jsonb_to_recordset($1::text::jsonb) AS r (id bigint, at bigint, action text,
                user_id text, username text, session_id text, count bigint, detail text, actor text,
                actor_name text, address text, request_id text) ORDER BY id",
        count: "SELECT count(*) FROM nightlatch.audit_log",
        is_preset: false,
    },
    Table {
        name: "application_sessions",
        read: "SELECT json_object('id', hex(id), 'token_hash', hex(token_hash), 'data', hex(data),
                'created_at', created_at, 'expires_at', expires_at, 'ended_at', ended_at)
            FROM application_sessions",
        write: "INSERT INTO nightlatch.application_sessions (id, token_hash, data, created_at,
                expires_at, ended_at)
            SELECT id::uuid, decode(token_hash, 'hex'), decode(data, 'hex'), created_at,
                expires_at, ended_at
            FROM jsonb_to_recordset($1::text::jsonb) AS r (id text, token_hash text, data text,
                created_at bigint, expires_at bigint, ended_at bigint)",
        count: "SELECT count(*) FROM nightlatch.application_sessions",
        is_preset: false,
    },
    Table {
        name: "shared_secrets",
        read: "SELECT json_object('name', name, 'value', hex(value))
            FROM shared_secrets WHERE name <> 'moved'",
        write: "INSERT INTO nightlatch.shared_secrets (name, value)
            SELECT name, decode(value, 'hex')
            FROM jsonb_to_recordset($1::text::jsonb) AS r (name text, value text)",
        count: "SELECT count(*) FROM nightlatch.shared_secrets",
        is_preset: false,
    },
];

/// What stays behind, so that a new table is thought of.
#[cfg(test)]
pub(crate) const STAYS: &[&str] = &["feed", "feed_head", "nodes", "schema_migrations"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_and_column_of_a_file_moves_or_is_known_to_stay() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut steps: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        steps.sort();
        for step in steps {
            conn.execute_batch(&std::fs::read_to_string(step).unwrap()).unwrap();
        }
        let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
             WHERE m.type = 'table'";
        let mut columns = conn.prepare(sql).unwrap();
        let columns = columns
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .unwrap();
        let mut moving = BTreeSet::new();
        for column in columns {
            let (table, column) = column.unwrap();
            if STAYS.contains(&table.as_str()) {
                continue;
            }
            let known = TABLES.iter().find(|it| it.name == table);
            let Some(known) = known else { panic!("what becomes of the table {table}?") };
            let is_left = ["one", "beat_at"].contains(&column.as_str()) && known.is_preset;
            let quoted = format!("'{column}'");
            assert!(is_left || known.read.contains(&quoted), "{table}.{column} does not move");
            assert!(is_left || known.write.contains(&column), "{table}.{column} is not written");
            moving.insert(table);
        }
        assert_eq!(moving.len(), TABLES.len(), "{moving:?}");
        for table in TABLES {
            conn.prepare(table.read).unwrap_or_else(|error| panic!("{}: {error}", table.name));
        }
    }
}
