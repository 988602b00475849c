//! Cases about ending sessions and what the feed says of it.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use nightlatch_core::{FeedKind, Generation, SessionEnd, SessionId, TokenHash, UserId};

use super::Subject;
use super::fixture::Fixture;

pub async fn a_revoked_session_stays_dead(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (ends, stays) = (record.login(&user).await, record.login(&user).await);
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::One(ends.id)).await, 1);
    record.assert_feed(before, &[FeedKind::Session(ends.id)]).await;
    assert!(!record.lives(&ends).await);
    assert_eq!(record.end(SessionEnd::One(ends.id)).await, 0, "there was none left to end");
    record.assert_feed(before, &[FeedKind::Session(ends.id); 2]).await;
    record.touch(vec![(ends.id, record.now().after(super::fixture::HOUR))]).await;
    assert!(!record.lives(&ends).await);
    let found = record.found(stays.token).await.expect("nobody ended it");
    assert_eq!(found.user, user, "ending one session raises no generation");
    assert_eq!(record.list(&user, 10).await, [stays.found.session]);
}

pub async fn a_logout_by_token_ends_its_session_alone(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (ends, stays) = (record.login(&user).await, record.login(&user).await);
    let before = record.head().await;
    let nobodys = TokenHash::from_bytes([7; 32]);
    assert_eq!(record.end(SessionEnd::Token(nobodys)).await, 0);
    record.assert_feed(before, &[]).await;
    assert_eq!(record.end(SessionEnd::Token(ends.token)).await, 1);
    record.assert_feed(before, &[FeedKind::Session(ends.id)]).await;
    assert!(!record.lives(&ends).await && record.lives(&stays).await);
    assert_eq!(record.end(SessionEnd::Token(ends.token)).await, 0);
}

pub async fn revoking_what_never_was_still_writes_the_feed(subject: Subject) {
    let record = Fixture::over(subject).await;
    let stranger = SessionId::fresh(record.entropy(), record.now());
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::One(stranger)).await, 0);
    record.assert_feed(before, &[FeedKind::Session(stranger)]).await;
}

pub async fn a_session_ends_by_its_token(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (ends, stays) = (record.login(&user).await, record.login(&user).await);
    let before = record.head().await;
    let unknown = TokenHash::from_bytes([7; 32]);
    assert_eq!(record.end(SessionEnd::Token(unknown)).await, 0);
    record.assert_feed(before, &[]).await;
    assert_eq!(record.end(SessionEnd::Token(ends.token)).await, 1);
    record.assert_feed(before, &[FeedKind::Session(ends.id)]).await;
    assert!(!record.lives(&ends).await);
    assert_eq!(record.end(SessionEnd::Token(ends.token)).await, 0);
    assert!(record.lives(&stays).await);
}

pub async fn nobody_ends_somebody_elses_session(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let hers = record.login(&alice).await;
    let before = record.head().await;
    let stranger = SessionId::fresh(record.entropy(), record.now());
    assert_eq!(record.end(SessionEnd::OneOf(bob.id, hers.id)).await, 0);
    assert_eq!(record.end(SessionEnd::OneOf(alice.id, stranger)).await, 0);
    assert!(record.lives(&hers).await);
    record.assert_feed(before, &[]).await;
    assert_eq!(record.end(SessionEnd::OneOf(alice.id, hers.id)).await, 1);
    record.assert_feed(before, &[FeedKind::Session(hers.id)]).await;
    assert!(!record.lives(&hers).await);
    assert_eq!(record.end(SessionEnd::OneOf(alice.id, hers.id)).await, 0);
}

pub async fn all_others_end_but_the_kept_one(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let kept = record.login(&alice).await;
    let others = [record.login(&alice).await, record.login(&alice).await];
    let foreign = record.login(&bob).await;
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::OthersOf(alice.id, kept.id)).await, 2);
    assert!(record.lives(&kept).await && record.lives(&foreign).await);
    for other in &others {
        assert!(!record.lives(other).await);
    }
    let mut rows = record.feed_after(before.newest.position).await;
    let session_of = |row: &FeedKind| match row {
        FeedKind::Session(id) => *id,
        other => panic!("{other:?} would end the kept session too"),
    };
    rows.sort_by_key(session_of);
    let mut ended = others.each_ref().map(|login| FeedKind::Session(login.id));
    ended.sort_by_key(session_of);
    assert_eq!(rows, ended);
    let found = record.found(kept.token).await.expect("it was kept");
    assert_eq!(found.user, alice, "the kept session's generation is not raised");
    assert_eq!(record.end(SessionEnd::OthersOf(alice.id, kept.id)).await, 0);
}

pub async fn logging_out_everywhere_raises_the_generation(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let hers = [record.login(&alice).await, record.login(&alice).await];
    let foreign = record.login(&bob).await;
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::AllOf(alice.id)).await, 2);
    let raised = record.find("alice").await.expect("she stays").user;
    assert_eq!(raised.generation, Generation(alice.generation.0 + 1));
    record.assert_feed(before, &[FeedKind::UserBelow(alice.id, raised.generation)]).await;
    for login in &hers {
        assert!(!record.lives(login).await);
    }
    assert!(record.lives(&foreign).await);
    assert!(record.try_login(record.session_of(&alice)).await.is_none(), "the old generation");
    assert!(record.lives(&record.login(&raised).await).await);
    let stranger = UserId::fresh(record.entropy(), record.now());
    assert_eq!(record.end(SessionEnd::AllOf(stranger)).await, 0);
}

pub async fn everything_ends_for_everybody(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let logins = [record.login(&alice).await, record.login(&bob).await, record.login(&bob).await];
    let before = record.head().await;
    assert_eq!(record.end(SessionEnd::Everything).await, 3);
    record.assert_feed(before, &[FeedKind::Everything]).await;
    for login in &logins {
        assert!(!record.lives(login).await);
    }
    assert!(record.try_login(record.session_of(&alice)).await.is_none(), "it was under way");
    let again = record.find("alice").await.expect("users stay").user;
    assert!(record.lives(&record.login(&again).await).await);
}

pub async fn a_found_session_carries_the_head_of_the_feed(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let head = record.head().await;
    assert_eq!((login.found.as_of, login.found.history), (head.newest, head.history));
    assert!(head.pruned_to < head.newest.position, "the newest row is never pruned");
    record.end(SessionEnd::One(SessionId::fresh(record.entropy(), record.now()))).await;
    let moved = record.head().await;
    assert_eq!(moved.newest.position.0, head.newest.position.0 + 1);
    assert_ne!(moved.newest.row_id, head.newest.row_id);
    assert_eq!(moved.history, head.history);
    let found = record.found(login.token).await.expect("it lives");
    assert_eq!((found.as_of, found.history), (moved.newest, moved.history));
}

pub async fn another_node_knows_at_once(subject: Subject) {
    let record = Fixture::over(subject).await;
    let other = record.second_node().await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let there = other.find_session(login.token, record.deadline()).await.expect("finding works");
    assert_eq!(there.as_deref(), Some(&login.found));
    record.end(SessionEnd::One(login.id)).await;
    let gone = other.find_session(login.token, record.deadline()).await.expect("finding works");
    assert_eq!(gone, None);
    let news = other.poll_feed(None, 0, record.deadline()).await.expect("polling works");
    assert_eq!(news.head, record.head().await);
}
