//! News of revocations as bytes.

use nightlatch_core::{
    AsOf, Epoch, FeedKind, FeedRow, Generation, History, Position, SessionEnd, SessionId,
    Timestamp, TokenHash, UserId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cached::{Announcement, News};

/// What a layout begins with. Another release's is not read.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Layout {
    record: [u8; 16],
    epoch: i64,
    said_at: i64,
    news: Said,
}

#[derive(Serialize, Deserialize)]
enum Said {
    Ended(Vec<Row>),
    PendingToken([u8; 32]),
    PendingSession { user: [u8; 16], session: [u8; 16] },
}

#[derive(Serialize, Deserialize)]
struct Row {
    position: i64,
    id: i64,
    kind: Kind,
}

/// Its number stands in the bytes, so a new one comes last: who does not know it hears none of the news
/// that it is in.
#[derive(Serialize, Deserialize)]
enum Kind {
    Start,
    Session([u8; 16]),
    UserBelow([u8; 16], i64),
    Everything,
    RefetchUser([u8; 16]),
    UserDisabled([u8; 16], i64),
    UserEnabled([u8; 16]),
    Unknown(i16),
    RefetchSession([u8; 16]),
}

/// News as bytes; `None`: of an end that nobody announces.
pub(in crate::redis) fn to_bytes(announcement: &Announcement) -> Option<Vec<u8>> {
    let news = match &announcement.news {
        News::Ended(rows) => Said::Ended(rows.iter().map(Row::of).collect()),
        News::Pending(SessionEnd::Token(token)) => Said::PendingToken(*token.as_bytes()),
        News::Pending(SessionEnd::OneOf(user, session)) => Said::PendingSession {
            user: *user.as_uuid().as_bytes(),
            session: *session.as_uuid().as_bytes(),
        },
        News::Pending(
            SessionEnd::One(_)
            | SessionEnd::OthersOf(..)
            | SessionEnd::AllOf(_)
            | SessionEnd::Everything,
        ) => return None,
    };
    let layout = Layout {
        record: *announcement.history.record.as_bytes(),
        epoch: announcement.history.epoch.0,
        said_at: announcement.said_at.as_micros(),
        news,
    };
    Some(postcard::to_extend(&layout, vec![VERSION]).expect("plain values into a growing buffer"))
}

/// The news; `None`: they are none.
pub(in crate::redis) fn from_bytes(bytes: &[u8]) -> Option<Announcement> {
    let (&version, bytes) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let layout: Layout = postcard::from_bytes(bytes).ok()?;
    let news = match layout.news {
        Said::Ended(rows) => News::Ended(rows.into_iter().map(Row::told).collect()),
        Said::PendingToken(token) => News::Pending(SessionEnd::Token(TokenHash::from_bytes(token))),
        Said::PendingSession { user: of, session } => {
            let session = SessionId::from_uuid(Uuid::from_bytes(session));
            News::Pending(SessionEnd::OneOf(user(of), session))
        }
    };
    let (record, epoch) = (Uuid::from_bytes(layout.record), Epoch(layout.epoch));
    let said_at = Timestamp::from_micros(layout.said_at);
    Some(Announcement { history: History { record, epoch }, said_at, news })
}

impl Row {
    fn of(row: &FeedRow) -> Self {
        let bytes = |id: UserId| *id.as_uuid().as_bytes();
        let kind = match row.kind {
            FeedKind::Start => Kind::Start,
            FeedKind::Session(id) => Kind::Session(*id.as_uuid().as_bytes()),
            FeedKind::UserBelow(id, below) => Kind::UserBelow(bytes(id), below.0),
            FeedKind::Everything => Kind::Everything,
            FeedKind::RefetchUser(id) => Kind::RefetchUser(bytes(id)),
            FeedKind::UserDisabled(id, below) => Kind::UserDisabled(bytes(id), below.0),
            FeedKind::UserEnabled(id) => Kind::UserEnabled(bytes(id)),
            FeedKind::RefetchSession(id) => Kind::RefetchSession(*id.as_uuid().as_bytes()),
            FeedKind::Unknown(code) => Kind::Unknown(code),
        };
        Self { position: row.at.position.0, id: row.at.row_id, kind }
    }

    fn told(self) -> FeedRow {
        let kind = match self.kind {
            Kind::Start => FeedKind::Start,
            Kind::Session(id) => FeedKind::Session(SessionId::from_uuid(Uuid::from_bytes(id))),
            Kind::UserBelow(id, below) => FeedKind::UserBelow(user(id), Generation(below)),
            Kind::Everything => FeedKind::Everything,
            Kind::RefetchUser(id) => FeedKind::RefetchUser(user(id)),
            Kind::UserDisabled(id, below) => FeedKind::UserDisabled(user(id), Generation(below)),
            Kind::UserEnabled(id) => FeedKind::UserEnabled(user(id)),
            Kind::RefetchSession(id) => {
                FeedKind::RefetchSession(SessionId::from_uuid(Uuid::from_bytes(id)))
            }
            Kind::Unknown(code) => FeedKind::Unknown(code),
        };
        FeedRow { at: AsOf { position: Position(self.position), row_id: self.id }, kind }
    }
}

const fn user(bytes: [u8; 16]) -> UserId {
    UserId::from_uuid(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn announced(news: News) -> Announcement {
        let history = History { record: Uuid::from_u128(1), epoch: Epoch(2) };
        Announcement { history, said_at: Timestamp::from_micros(3), news }
    }

    #[test]
    fn every_kind_of_news_comes_back_as_it_was() {
        let (one, session) = (UserId::from_uuid(Uuid::from_u128(4)), Uuid::from_u128(5));
        let session = SessionId::from_uuid(session);
        let kinds = [
            FeedKind::Start,
            FeedKind::Session(session),
            FeedKind::UserBelow(one, Generation(6)),
            FeedKind::Everything,
            FeedKind::RefetchUser(one),
            FeedKind::UserDisabled(one, Generation(7)),
            FeedKind::UserEnabled(one),
            FeedKind::RefetchSession(session),
            FeedKind::Unknown(99),
        ];
        let rows = kinds.map(|kind| FeedRow {
            at: AsOf { position: Position(i64::from(kind.code())), row_id: i64::MIN },
            kind,
        });
        for news in [
            News::Ended(rows.to_vec()),
            News::Pending(SessionEnd::Token(TokenHash::from_bytes([8; 32]))),
            News::Pending(SessionEnd::OneOf(one, session)),
        ] {
            let announcement = announced(news);
            let bytes = to_bytes(&announcement).expect("it is announced");
            assert_eq!(from_bytes(&bytes).as_ref(), Some(&announcement));
            assert_eq!(from_bytes(&bytes[..bytes.len() - 1]), None, "half of it");
        }
        assert_eq!(to_bytes(&announced(News::Pending(SessionEnd::Everything))), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_bytes(&bytes);
        }
    }
}
