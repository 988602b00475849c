//! Cases about sessions of other applications: what they hold, and that their end is one.
//!
//! Whoever saves knows nothing of others who do, so a save replaces all of it; and whoever saves too late
//! must not bring back what has ended.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::collections::BTreeMap;
use std::sync::Arc;

use nightlatch_core::{
    ApplicationSession, FeedKind, LostRevocations, NewApplicationSession, Position, Record,
    SaveData, SessionData, SessionEnd, SessionId, Timestamp, TokenHash, Written,
};

use super::Subject;
use super::fixture::{Fixture, HOUR, all_at_once, sweep_before};

fn data(text: &str) -> SessionData {
    SessionData::try_new(text.as_bytes()).expect("short")
}

fn new_session(record: &Fixture, text: &str) -> NewApplicationSession {
    let mut id = [0; 16];
    record.entropy().fill(&mut id);
    NewApplicationSession {
        id: SessionId::fresh(record.entropy(), record.now()),
        token: TokenHash::of_application(id),
        data: data(text),
        created_at: record.now(),
        expires_at: record.now().after(HOUR),
    }
}

async fn create(record: &Fixture, new: NewApplicationSession) -> Option<ApplicationSession> {
    record.record().create_data(new, record.deadline()).await.expect("creating works")
}

/// An acknowledged session that holds `text`.
async fn created(record: &Fixture, text: &str) -> (TokenHash, ApplicationSession) {
    let new = new_session(record, text);
    let token = new.token;
    (token, create(record, new).await.expect("nobody has this token"))
}

async fn found_by(
    node: &dyn Record,
    record: &Fixture,
    token: TokenHash,
) -> Option<Arc<ApplicationSession>> {
    node.find_data(token, record.now(), record.deadline()).await.expect("finding works")
}

async fn found(record: &Fixture, token: TokenHash) -> Option<String> {
    let found = found_by(record.record(), record, token).await;
    found.map(|found| text_of(&found))
}

fn text_of(found: &ApplicationSession) -> String {
    String::from_utf8(found.data.as_bytes().to_vec()).expect("as it was written")
}

fn save_of(record: &Fixture, token: TokenHash, text: &str) -> SaveData {
    SaveData { token, data: data(text), now: record.now(), expires_at: record.now().after(HOUR) }
}

async fn save(record: &Fixture, save: SaveData) -> Option<Written<ApplicationSession>> {
    let saved = record.record().save_data(save, record.deadline()).await.expect("saving works");
    if let Some(saved) = &saved {
        record.assert_told(&saved.rows).await;
    }
    saved
}

async fn delete(record: &Fixture, token: TokenHash) -> bool {
    let answer = record.record().delete_data(token, record.now(), record.deadline()).await;
    record.told(answer.expect("deleting works")).await
}

pub async fn an_applications_session_is_found_as_it_was_created(subject: Subject) {
    let record = Fixture::over(subject).await;
    let before = record.head().await;
    let (token, session) = created(&record, "Grüße").await;
    record.assert_feed(before, &[]).await;
    assert_eq!((session.as_of, session.history), (before.newest, before.history));
    let there = found_by(record.record(), &record, token).await.expect("it was acknowledged");
    assert_eq!(*there, session);
    assert_eq!(text_of(&there), "Grüße");
    let most = "x".repeat(SessionData::BYTES_MAX);
    let (token, _) = created(&record, &most).await;
    assert_eq!(found(&record, token).await.as_deref(), Some(most.as_str()));
    let (token, _) = created(&record, "").await;
    assert_eq!(found(&record, token).await.as_deref(), Some(""));
    let stranger = TokenHash::of_application([0; 16]);
    assert_eq!(found(&record, stranger).await, None);
}

pub async fn no_two_applications_sessions_have_one_token(subject: Subject) {
    let record = Fixture::over(subject).await;
    let first = new_session(&record, "hers");
    let second = NewApplicationSession { token: first.token, ..new_session(&record, "his") };
    let token = first.token;
    assert!(create(&record, first).await.is_some());
    assert_eq!(create(&record, second.clone()).await, None);
    assert_eq!(found(&record, token).await.as_deref(), Some("hers"));
    assert!(delete(&record, token).await);
    assert_eq!(create(&record, second).await, None, "it was somebody's");
    assert_eq!(found(&record, token).await, None);
}

pub async fn a_save_replaces_all_and_has_copies_read_again(subject: Subject) {
    let record = Fixture::over(subject).await;
    let other = record.second_node().await;
    let (token, session) = created(&record, "one").await;
    assert!(found_by(&*other, &record, token).await.is_some());
    let before = record.head().await;
    let longer =
        SaveData { expires_at: record.now().after(5 * HOUR), ..save_of(&record, token, "two") };
    let expires_at = longer.expires_at;
    let saved = save(&record, longer).await.expect("it lives").value;
    record.assert_feed(before, &[FeedKind::RefetchSession(session.id)]).await;
    assert_eq!(saved.as_of, record.head().await.newest, "it is of its own row");
    assert_eq!((text_of(&saved), saved.expires_at), ("two".to_owned(), expires_at));
    assert_eq!(*found_by(record.record(), &record, token).await.expect("it lives"), saved);
    assert_eq!(*found_by(&*other, &record, token).await.expect("it lives"), saved);
}

pub async fn a_save_never_revives_an_applications_session(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (deleted, session) = created(&record, "cart").await;
    let before = record.head().await;
    assert!(delete(&record, deleted).await);
    record.assert_feed(before, &[FeedKind::Session(session.id)]).await;
    assert!(!delete(&record, deleted).await, "it had ended");
    let mut past = new_session(&record, "cart");
    past.expires_at = record.now();
    let expired = past.token;
    create(&record, past).await.expect("nobody has this token");
    let unknown = TokenHash::of_application([9; 16]);
    for token in [deleted, expired, unknown] {
        let head = record.head().await;
        assert_eq!(save(&record, save_of(&record, token, "more")).await, None);
        assert_eq!(found(&record, token).await, None);
        record.assert_feed(head, &[]).await;
    }
    // One that a save lets expire is over like any other.
    let (short, _) = created(&record, "cart").await;
    let now = SaveData { expires_at: record.now(), ..save_of(&record, short, "last") };
    assert!(save(&record, now).await.is_some());
    assert_eq!(found(&record, short).await, None);
    assert_eq!(save(&record, save_of(&record, short, "more")).await, None);
}

pub async fn the_end_of_everything_ends_applications_sessions_too(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, _) = created(&record, "one").await;
    let (other, _) = created(&record, "other").await;
    assert!(delete(&record, other).await);
    let login = record.login(&record.user("alice").await).await;
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::Everything).await, 2);
    record.assert_feed(before, &[FeedKind::Everything]).await;
    assert!(!record.lives(&login).await);
    assert_eq!(found(&record, one).await, None);
    assert_eq!(save(&record, save_of(&record, one, "more")).await, None);
    assert_eq!(created(&record, "later").await.1.as_of, record.head().await.newest);
}

pub async fn lost_ends_of_applications_sessions_are_written_back(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (token, session) = created(&record, "one").await;
    let (kept, _) = created(&record, "kept").await;
    let before = record.head().await;
    let lost = LostRevocations { sessions: vec![session.id], ..LostRevocations::default() };
    for expected in [&[FeedKind::Session(session.id)][..], &[]] {
        let head = record.head().await;
        let answer =
            record.record().restore_revocations(lost.clone(), record.now(), record.deadline());
        let rows = answer.await.expect("restoring works");
        record.assert_told(&rows).await;
        record.assert_feed(head, expected).await;
    }
    assert!(record.head().await.newest.position > before.newest.position);
    assert_eq!(found(&record, token).await, None);
    assert_eq!(found(&record, kept).await.as_deref(), Some("kept"));
}

pub async fn ended_and_expired_applications_sessions_are_swept(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (stays, _) = created(&record, "stays").await;
    for _ in 0..3 {
        let (ended, _) = created(&record, "ended").await;
        assert!(delete(&record, ended).await);
        let mut past = new_session(&record, "expired");
        past.expires_at = record.now().before(HOUR);
        create(&record, past).await.expect("nobody has this token");
    }
    let later = record.now().after(HOUR / 2);
    let mut swept = Vec::new();
    for _ in 0..3 {
        let answer = record.record().sweep(sweep_before(later), 4, record.deadline()).await;
        swept.push(answer.expect("sweeping works").application_sessions);
    }
    assert_eq!(swept, [4, 2, 0]);
    assert_eq!(found(&record, stays).await.as_deref(), Some("stays"));
}

pub async fn of_many_saves_at_once_one_is_the_last_for_everybody(subject: Subject) {
    const SAVES: usize = 20;
    let record = Arc::new(Fixture::over(subject).await);
    let other = record.second_node().await;
    for round in 0..5 {
        let (token, _) = created(&record, "first").await;
        let before = record.head().await.newest.position;
        let answers = all_at_once(&record, SAVES, move |record, caller| {
            Box::pin(async move {
                let text = format!("{round}/{caller}/").repeat(500 + caller);
                let by: Arc<dyn Record> =
                    if caller % 2 == 0 { record.second_node().await } else { record.shared() };
                let saving = save_of(&record, token, &text);
                let saved = by.save_data(saving, record.deadline()).await.expect("saving works");
                let saved = saved.expect("it lives");
                assert_eq!(text_of(&saved.value), text, "as it was saved");
                saved.value
            })
        })
        .await;
        let by_position: BTreeMap<Position, String> =
            answers.iter().map(|saved| (saved.as_of.position, text_of(saved))).collect();
        assert_eq!(by_position.len(), SAVES, "each has a row of its own");
        assert_eq!(record.feed_after(before).await.len(), SAVES);
        let (_, last) = by_position.last_key_value().expect("there are some");
        for node in [record.record(), &*other] {
            let found = found_by(node, &record, token).await.expect("it lives");
            assert!(text_of(&found) == *last, "the highest position is what is found");
        }
    }
}

pub async fn a_save_at_once_with_a_delete_never_outlives_it(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    for _ in 0..50 {
        let (token, session) = created(&record, "cart").await;
        let before = record.head().await.newest.position;
        let answers = all_at_once(&record, 4, move |record, caller| {
            Box::pin(async move {
                if caller == 0 {
                    assert!(delete(&record, token).await);
                    return false;
                }
                save(&record, save_of(&record, token, "more")).await.is_some()
            })
        })
        .await;
        let saves = answers.into_iter().filter(|is_saved| *is_saved).count();
        let mut expected = vec![FeedKind::RefetchSession(session.id); saves];
        expected.push(FeedKind::Session(session.id));
        assert_eq!(record.feed_after(before).await, expected, "the end is the last");
        assert_eq!(found(&record, token).await, None);
    }
}

pub async fn an_applications_session_is_nobodys(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (token, _) = created(&record, "cart").await;
    record.end(SessionEnd::AllOf(user.id)).await;
    record.end(SessionEnd::Token(token)).await;
    record.set_enabled(user.id, false).await;
    assert_eq!(found(&record, token).await.as_deref(), Some("cart"));
    assert_eq!(record.found(token).await, None, "and no login");
    let never = Timestamp::from_micros(i64::MIN);
    let early = record.record().find_data(token, never, record.deadline()).await;
    assert!(early.expect("finding works").is_some());
}
