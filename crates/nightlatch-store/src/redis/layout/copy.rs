//! A copy of a session as bytes: compact, and read back only if all of it makes sense.

use std::net::IpAddr;

use nightlatch_core::{
    AsOf, Client, Email, FoundSession, Generation, Groups, History, Position, Session, SessionId,
    Timestamp, User, UserId, Username,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a layout begins with. Another release's is a miss.
const VERSION: u8 = 1;

/// The layout. Numbers are short where they are small, so times are told by their distance.
#[derive(Serialize, Deserialize)]
struct Layout<'a> {
    session: [u8; 16],
    user: [u8; 16],
    created_at: i64,
    /// Seconds and their parts from there on.
    last_seen_after: i64,
    expires_after: i64,
    user_created_before: i64,
    remember: bool,
    address: IpAddr,
    user_agent: &'a str,
    username: &'a str,
    email: Option<&'a str>,
    email_verified: bool,
    name: &'a str,
    groups: Vec<&'a str>,
    generation: i64,
    position: i64,
    row_id: [u8; 8],
    read_after: i64,
}

/// A copy as bytes. `read_at` is when the record was asked for it, in record time.
pub(in crate::redis) fn to_bytes(found: &FoundSession, read_at: Timestamp) -> Vec<u8> {
    let FoundSession { session, user, as_of, .. } = found;
    let created_at = session.created_at.as_micros();
    let after = |at: Timestamp| at.as_micros().saturating_sub(created_at);
    let layout = Layout {
        session: *session.id.as_uuid().as_bytes(),
        user: *user.id.as_uuid().as_bytes(),
        created_at,
        last_seen_after: after(session.last_seen_at),
        expires_after: after(session.expires_at),
        user_created_before: created_at.saturating_sub(user.created_at.as_micros()),
        remember: session.remember,
        address: session.client.address,
        user_agent: &session.client.user_agent,
        username: user.username.as_str(),
        email: user.email.as_ref().map(Email::as_str),
        email_verified: user.email_verified,
        name: &user.name,
        groups: user.groups.as_slice().iter().map(String::as_str).collect(),
        generation: user.generation.0,
        position: as_of.position.0,
        row_id: as_of.row_id.to_be_bytes(),
        read_after: after(read_at),
    };
    postcard::to_extend(&layout, vec![VERSION]).expect("plain values into a growing buffer")
}

/// The copy, and when the record was asked for it; `None`: it is none. The history is not among the
/// bytes: they open only in their own.
pub(in crate::redis) fn from_bytes(
    bytes: &[u8],
    history: History,
) -> Option<(FoundSession, Timestamp)> {
    let (&version, bytes) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let layout: Layout<'_> = postcard::from_bytes(bytes).ok()?;
    let at = |after: i64| Timestamp::from_micros(layout.created_at.saturating_add(after));
    let user = User {
        id: UserId::from_uuid(Uuid::from_bytes(layout.user)),
        username: Username::try_existing(layout.username).ok()?,
        email: layout.email.map(Email::try_new).transpose().ok()?,
        email_verified: layout.email_verified,
        name: layout.name.to_owned(),
        groups: Groups::try_new(&layout.groups).ok()?,
        generation: Generation(layout.generation),
        // The record gives out nobody's session else.
        enabled: true,
        created_at: at(layout.user_created_before.saturating_neg()),
    };
    let session = Session {
        id: SessionId::from_uuid(Uuid::from_bytes(layout.session)),
        user_id: user.id,
        created_at: at(0),
        last_seen_at: at(layout.last_seen_after),
        expires_at: at(layout.expires_after),
        remember: layout.remember,
        client: Client { address: layout.address, user_agent: layout.user_agent.to_owned() },
    };
    let row_id = i64::from_be_bytes(layout.row_id);
    let as_of = AsOf { position: Position(layout.position), row_id };
    Some((FoundSession::new(session, user, as_of, history), at(layout.read_after)))
}

#[cfg(test)]
mod tests {
    use nightlatch_core::Epoch;
    use proptest::prelude::*;

    use super::*;

    fn usual() -> FoundSession {
        let at = Timestamp::from_micros;
        let user = User {
            id: UserId::from_uuid(Uuid::from_u128(7)),
            username: Username::try_existing("alice").expect("a name"),
            email: Some(Email::try_new("alice@example.org").expect("an address")),
            email_verified: true,
            name: "Alice".to_owned(),
            groups: Groups::try_new(["staff"]).expect("a group"),
            generation: Generation(3),
            enabled: true,
            created_at: at(1_700_000_000_000_000),
        };
        let session = Session {
            id: SessionId::from_uuid(Uuid::from_u128(9)),
            user_id: user.id,
            created_at: at(1_760_000_000_000_001),
            last_seen_at: at(1_760_000_300_000_000),
            expires_at: at(1_760_086_400_000_001),
            remember: false,
            client: Client {
                address: IpAddr::from([192, 0, 2, 1]),
                user_agent: "Firefox on Linux".to_owned(),
            },
        };
        let as_of = AsOf { position: Position(123_456), row_id: i64::MAX - 5 };
        FoundSession::new(session, user, as_of, history())
    }

    const fn history() -> History {
        History { record: Uuid::from_u128(1), epoch: Epoch(2) }
    }

    #[test]
    fn a_copy_comes_back_as_it_was_and_is_small() {
        let (found, read_at) = (usual(), Timestamp::from_micros(1_760_000_301_000_000));
        let bytes = to_bytes(&found, read_at);
        assert!(bytes.len() + crate::seal::OVERHEAD < 200, "{} bytes", bytes.len());
        assert_eq!(from_bytes(&bytes, history()), Some((found, read_at)));
    }

    #[test]
    fn half_a_copy_is_none() {
        let bytes = to_bytes(&usual(), Timestamp::EPOCH);
        for length in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..length], history()), None, "{length} bytes");
        }
        let mut newer = bytes;
        newer[0] = VERSION + 1;
        assert_eq!(from_bytes(&newer, history()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_bytes(&bytes, history());
        }
    }
}
