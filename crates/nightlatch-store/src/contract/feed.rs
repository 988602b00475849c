//! Cases about reading the feed, claiming an epoch, and writing lost revocations back.
//!
//! Copies are judged by what is read here alone, so a record that misses or moves a row lets somebody
//! in who has logged out.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::sync::Arc;

use nightlatch_core::{
    Actor, Epoch, FeedKind, FeedRow, Generation, History, LostRevocations, LostUser, Position,
    SessionEnd, SessionId, UserId,
};

use super::Subject;
use super::fixture::{CALL_SPAN, Fixture, HOUR, all_at_once, sweep_before};

async fn end_strangers(record: &Fixture, count: usize) -> Vec<FeedKind> {
    let mut kinds = Vec::new();
    for _ in 0..count {
        let stranger = SessionId::fresh(record.entropy(), record.now());
        record.end(SessionEnd::One(stranger)).await;
        kinds.push(FeedKind::Session(stranger));
    }
    kinds
}

pub async fn a_poll_gives_the_rows_above_a_position_oldest_first(subject: Subject) {
    let record = Fixture::over(subject).await;
    let before = record.head().await;
    let kinds = end_strangers(&record, 5).await;
    let news = record.poll(Some(before.newest.position), 100).await;
    assert_eq!(news.head, record.head().await);
    assert_eq!(news.asked, Some(before.newest.row_id));
    assert_eq!(kinds_of(&news.rows), kinds);
    assert_eq!(news.rows.last().map(|row| row.at), Some(news.head.newest));
    let positions: Vec<i64> = news.rows.iter().map(|row| row.at.position.0).collect();
    let first = before.newest.position.0 + 1;
    assert_eq!(positions, (first..first + 5).collect::<Vec<_>>());

    let some = record.poll(Some(before.newest.position), 2).await;
    assert_eq!(some.rows, news.rows[..2], "the oldest ones");
    let rest = record.poll(Some(some.rows[1].at.position), 100).await;
    assert_eq!(rest.rows, news.rows[2..]);
    assert_eq!(rest.asked, Some(some.rows[1].at.row_id));
    let none = record.poll(Some(before.newest.position), 0).await;
    assert_eq!((none.rows, none.asked), (Vec::new(), Some(before.newest.row_id)));
}

pub async fn a_poll_says_that_there_is_nothing_new(subject: Subject) {
    let record = Fixture::over(subject).await;
    end_strangers(&record, 2).await;
    let head = record.head().await;
    let news = record.poll(Some(head.newest.position), 100).await;
    assert_eq!((news.head, news.asked), (head, Some(head.newest.row_id)));
    assert!(news.rows.is_empty());
    assert_eq!(news.write_failure, None);
}

pub async fn a_poll_without_a_position_gives_the_head_alone(subject: Subject) {
    let record = Fixture::over(subject).await;
    end_strangers(&record, 2).await;
    let news = record.poll(None, 100).await;
    assert_eq!((news.head, news.asked), (record.head().await, None));
    assert!(news.rows.is_empty());
    let probed = record.record().probe(record.deadline()).await.expect("probing works");
    assert_eq!(probed.head, news.head);
}

pub async fn a_poll_from_above_the_head_finds_nothing_there(subject: Subject) {
    let record = Fixture::over(subject).await;
    let head = record.head().await;
    for above in [head.newest.position.0 + 1, i64::MAX] {
        let news = record.poll(Some(Position(above)), 100).await;
        assert_eq!((news.head, news.asked), (head, None));
        assert!(news.rows.is_empty());
    }
}

pub async fn a_poll_from_what_was_pruned_finds_the_row_gone(subject: Subject) {
    let record = Fixture::over(subject).await;
    let first = record.head().await.newest;
    end_strangers(&record, 3).await;
    let later = record.now().after(HOUR);
    let swept = record.record().sweep(sweep_before(later), 100, record.deadline()).await;
    assert_eq!(swept.expect("sweeping works").feed_rows, 3, "all but the newest");
    let newest = record.head().await.newest;
    let news = record.poll(Some(first.position), 100).await;
    assert_eq!(news.asked, None);
    assert_eq!(news.head.pruned_to, Position(newest.position.0 - 1));
    assert_eq!(news.rows.iter().map(|row| row.at).collect::<Vec<_>>(), [newest]);
}

pub async fn every_kind_is_read_as_it_was_written(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await.newest.position;
    record.end(SessionEnd::One(login.id)).await;
    record.end(SessionEnd::AllOf(user.id)).await;
    record.end(SessionEnd::Everything).await;
    let verified = record.record().verify_email(user.id, Actor::node(), record.deadline()).await;
    verified.expect("verifying works").expect("there is an e-mail");
    let disabled = record.set_enabled(user.id, false).await;
    record.set_enabled(user.id, true).await;
    let raised = Generation(user.generation.0 + 1);
    assert_eq!(
        kinds_of(&record.poll(Some(before), 100).await.rows),
        [
            FeedKind::Session(login.id),
            FeedKind::UserBelow(user.id, raised),
            FeedKind::Everything,
            FeedKind::RefetchUser(user.id),
            FeedKind::UserDisabled(user.id, disabled.generation),
            FeedKind::UserEnabled(user.id),
        ]
    );
    let start = record.poll(Some(Position(0)), 1).await;
    assert_eq!(kinds_of(&start.rows), [FeedKind::Start]);
}

pub async fn a_change_by_another_node_wakes_who_waits_for_one(subject: Subject) {
    const ROUNDS: u32 = 5;
    let record = Fixture::over(subject).await;
    let other = record.second_node().await;
    let mut wakes = 0;
    for _ in 0..ROUNDS {
        let before = record.head().await;
        let waiting = async {
            while record.head().await == before {
                record.record().changed().await;
                wakes += 1;
            }
        };
        let stranger = SessionEnd::One(SessionId::fresh(record.entropy(), record.now()));
        let ended = async {
            other.end_sessions(stranger, record.now(), Actor::node(), record.deadline()).await
        };
        let (woken, ended) = tokio::join!(tokio::time::timeout(CALL_SPAN, waiting), ended);
        ended.expect("ending sessions works");
        assert!(woken.is_ok(), "no news in {CALL_SPAN:?}");
    }
    // Once for each, once too often for each, and once for the beginning.
    assert!(wakes <= 2 * ROUNDS + 1, "woken {wakes} times by {ROUNDS} changes");
}

fn kinds_of(rows: &[FeedRow]) -> Vec<FeedKind> {
    rows.iter().map(|row| row.kind).collect()
}

async fn claim(record: &Fixture, from: History, fresh: i64) -> History {
    let head = record.record().claim_epoch(from, Epoch(fresh), record.deadline()).await;
    let head = head.expect("claiming works");
    assert_eq!(head, record.head().await);
    head.history
}

pub async fn the_first_claim_of_an_epoch_wins(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await;
    let from = before.history;
    let won = History { epoch: Epoch(from.epoch.0 ^ 1), ..from };
    let stranger = History { record: *user.id.as_uuid(), ..from };
    assert_eq!(claim(&record, stranger, 77).await, from, "another record's history");
    assert_eq!(claim(&record, from, won.epoch.0).await, won);
    assert_eq!(claim(&record, from, 77).await, won, "it is in another history by now");
    assert_eq!(claim(&record, from, won.epoch.0).await, won);
    let after = record.head().await;
    assert_eq!((after.newest, after.pruned_to), (before.newest, before.pruned_to));
    assert_eq!(record.found(login.token).await.expect("it lives").history, won);
    assert_eq!(record.login(&user).await.found.history, won);
}

pub async fn of_many_who_claim_at_once_all_hear_of_one(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let mut from = record.head().await.history;
    for round in 1..=10 {
        let heard = all_at_once(&record, 8, move |record, caller| {
            let fresh = Epoch(round * 100 + i64::try_from(caller).expect("eight callers"));
            Box::pin(async move {
                let claimed = record.record().claim_epoch(from, fresh, record.deadline()).await;
                claimed.expect("claiming works").history
            })
        })
        .await;
        assert!(heard.iter().all(|history| *history == heard[0]), "{heard:?}");
        assert_ne!(heard[0], from);
        from = heard[0];
    }
}

async fn restore(record: &Fixture, lost: &LostRevocations) -> Vec<FeedKind> {
    let before = record.head().await;
    let rows =
        record.record().restore_revocations(lost.clone(), record.now(), record.deadline()).await;
    let rows = rows.expect("restoring works");
    let kinds = kinds_of(&rows);
    record.assert_feed(before, &kinds).await;
    record.assert_told(&rows).await;
    kinds
}

pub async fn lost_ends_of_sessions_are_written_back(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (ends, stays) = (record.login(&user).await, record.login(&user).await);
    let stranger = SessionId::fresh(record.entropy(), record.now());
    let lost = LostRevocations { sessions: vec![ends.id, stranger], ..LostRevocations::default() };
    // The feed does not grow by what nobody can have a copy of in this history.
    for told in [vec![FeedKind::Session(ends.id)], vec![]] {
        assert_eq!(restore(&record, &lost).await, told);
        assert!(!record.lives(&ends).await && record.lives(&stays).await);
    }
    assert_eq!(record.find("alice").await.expect("she stays").user, user);
    assert_eq!(restore(&record, &LostRevocations::default()).await, []);
}

pub async fn a_lost_end_of_everything_is_written_back(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let logins = [record.login(&alice).await, record.login(&bob).await];
    let lost = LostRevocations { everything: true, ..LostRevocations::default() };
    assert_eq!(restore(&record, &lost).await, [FeedKind::Everything]);
    for login in &logins {
        assert!(!record.lives(login).await);
    }
    assert!(record.try_login(record.session_of(&alice)).await.is_none(), "it was under way");
}

fn of_users(users: impl IntoIterator<Item = LostUser>) -> LostRevocations {
    LostRevocations { users: users.into_iter().collect(), ..LostRevocations::default() }
}

pub async fn a_lost_generation_is_raised_to_and_never_lowered(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (user, other) = (record.user("alice").await, record.user("bob").await);
    let (ends, stays) = (record.login(&user).await, record.login(&other).await);
    let stranger = UserId::fresh(record.entropy(), record.now());
    let below = Generation(user.generation.0 + 5);
    let lost = |id, below| LostUser { id, below: Some(below), enabled: None };
    let both = of_users([lost(stranger, below), lost(user.id, below)]);
    assert_eq!(restore(&record, &both).await, [FeedKind::UserBelow(user.id, below)]);
    let raised = record.find("alice").await.expect("she stays").user;
    assert_eq!(raised.generation, below);
    assert!(raised.enabled && !record.lives(&ends).await && record.lives(&stays).await);
    assert!(record.list(&raised, 10).await.is_empty());

    let next = record.login(&raised).await;
    assert_eq!(restore(&record, &both).await, [], "the record says so already");
    let lower = of_users([lost(user.id, user.generation)]);
    assert_eq!(restore(&record, &lower).await, []);
    assert_eq!(record.find("alice").await.expect("she stays").user, raised);
    assert!(record.lives(&next).await);
    assert!(record.try_login(record.session_of(&user)).await.is_none(), "the old generation");
}

pub async fn a_lost_disabling_is_written_back(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (one, other) = (record.login(&user).await, record.login(&user).await);
    let below = Generation(user.generation.0 + 1);
    let lost = LostUser { id: user.id, below: Some(below), enabled: Some(false) };
    let told = [FeedKind::UserDisabled(user.id, below)];
    assert_eq!(restore(&record, &of_users([lost])).await, told);
    let disabled = record.find("alice").await.expect("she stays").user;
    assert_eq!((disabled.enabled, disabled.generation), (false, below));
    assert!(!record.lives(&one).await && !record.lives(&other).await);
    assert!(record.try_login(record.session_of(&disabled)).await.is_none());
    assert_eq!(restore(&record, &of_users([lost])).await, [], "twice does no harm");
    assert_eq!(record.find("alice").await.expect("she stays").user, disabled);
}

/// The record went on to a generation of its own: what lives there has to end as well.
pub async fn a_lost_disabling_ends_later_sessions_too(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    for below in [None, Some(user.generation)] {
        let enabled = record.set_enabled(user.id, true).await;
        let login = record.login(&enabled).await;
        let lost = LostUser { id: user.id, below, enabled: Some(false) };
        let above = Generation(enabled.generation.0 + 1);
        let told = [FeedKind::UserDisabled(user.id, above)];
        assert_eq!(restore(&record, &of_users([lost])).await, told, "{below:?}");
        assert!(!record.lives(&login).await);
    }
}

pub async fn a_lost_enabling_is_written_back(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let disabled = record.set_enabled(user.id, false).await;
    let below = Generation(disabled.generation.0 + 1);
    let lost = of_users([LostUser { id: user.id, below: Some(below), enabled: Some(true) }]);
    let told = [FeedKind::UserBelow(user.id, below), FeedKind::UserEnabled(user.id)];
    assert_eq!(restore(&record, &lost).await, told);
    let enabled = record.find("alice").await.expect("she stays").user;
    assert_eq!((enabled.enabled, enabled.generation), (true, below));
    assert!(record.lives(&record.login(&enabled).await).await);
    assert_eq!(restore(&record, &lost).await, []);

    record.set_enabled(user.id, false).await;
    let alone = of_users([LostUser { id: user.id, below: None, enabled: Some(true) }]);
    assert_eq!(restore(&record, &alone).await, [FeedKind::UserEnabled(user.id)]);
}

pub async fn many_lost_revocations_are_written_back_at_once(subject: Subject) {
    let record = Fixture::over(subject).await;
    let mut users = Vec::new();
    for number in 0..50 {
        let user = record.user(&format!("user{number}")).await;
        let login = record.login(&user).await;
        users.push((user, login));
    }
    let raised = |generation: Generation| Generation(generation.0 + 1);
    let (disabled, ended) = users.split_at(25);
    let lost = LostRevocations {
        sessions: ended.iter().map(|(_, login)| login.id).collect(),
        users: disabled
            .iter()
            .map(|(user, _)| LostUser {
                id: user.id,
                below: Some(raised(user.generation)),
                enabled: Some(false),
            })
            .collect(),
        everything: false,
    };
    let told = restore(&record, &lost).await;
    assert_eq!(told.len(), users.len());
    for (user, login) in &users {
        assert!(!record.lives(login).await);
        let expected = if lost.sessions.contains(&login.id) {
            FeedKind::Session(login.id)
        } else {
            FeedKind::UserDisabled(user.id, raised(user.generation))
        };
        assert!(told.contains(&expected), "{expected:?}");
    }
}
