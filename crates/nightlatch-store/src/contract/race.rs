//! Cases in which many do something at once.
//!
//! Each starts its callers together and judges what they were told: whatever the order was, no
//! promise may be broken in it.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::collections::BTreeSet;
use std::sync::Arc;

use nightlatch_core::{Actor, FeedKind, FeedRow, PasswordChange, SessionEnd, SessionId, TokenHash};

use super::Subject;
use super::fixture::{Fixture, Login, all_at_once};
use super::password::change_of;

const ROUNDS: u32 = 50;

pub async fn a_login_at_the_old_generation_never_survives_a_password_change(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let mut user = record.user("alice").await;
    for round in 0..ROUNDS {
        let before = record.head().await.newest.position;
        let (late, next) = (record.session_of(&user), record.session_of(&user));
        let (late_token, next_token) = (late.token, next.token);
        let change = PasswordChange {
            next_session: Some(next),
            ..change_of(&user, &format!("$2b$12$round{round}"))
        };
        let answers = all_at_once(&record, 2, move |record, caller| {
            let (late, change) = (late.clone(), change.clone());
            Box::pin(async move {
                if caller == 0 {
                    record.try_login(late).await.map(|found| found.as_of.position)
                } else {
                    let changed =
                        record.record().change_password(change, Actor::node(), record.deadline());
                    changed.await.expect("changing works").expect("nobody else changes it");
                    None
                }
            })
        })
        .await;
        assert!(record.found(late_token).await.is_none(), "round {round}");
        assert!(record.found(next_token).await.is_some(), "round {round}");
        // A copy of the login must not look as if it were read after the change.
        assert!(answers[0].is_none_or(|as_of| as_of == before), "round {round}");
        user = record.find("alice").await.expect("she stays").user;
    }
}

pub async fn a_login_never_survives_a_disabling(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let id = record.user("alice").await.id;
    for round in 0..ROUNDS {
        let user = record.set_enabled(id, true).await;
        let late = record.session_of(&user);
        let token = late.token;
        all_at_once(&record, 2, move |record, caller| {
            let late = late.clone();
            Box::pin(async move {
                if caller == 0 {
                    record.try_login(late).await;
                } else {
                    record.set_enabled(id, false).await;
                }
            })
        })
        .await;
        assert!(record.found(token).await.is_none(), "round {round}");
    }
    let enabled = record.set_enabled(id, true).await;
    assert!(record.list(&enabled, 100).await.is_empty());
}

pub async fn a_login_never_survives_the_end_of_everything(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let mut user = record.user("alice").await;
    record.user("bob").await;
    for round in 0..ROUNDS {
        let late = record.session_of(&user);
        let token = late.token;
        all_at_once(&record, 2, move |record, caller| {
            let late = late.clone();
            Box::pin(async move {
                if caller == 0 {
                    record.try_login(late).await;
                } else {
                    record.end(SessionEnd::Everything).await;
                }
            })
        })
        .await;
        assert!(record.found(token).await.is_none(), "round {round}");
        user = record.find("alice").await.expect("she stays").user;
    }
}

pub async fn of_two_password_changes_at_one_generation_one_wins(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let mut user = record.user("alice").await;
    for round in 0..ROUNDS {
        let asked = user.clone();
        let answers = all_at_once(&record, 2, move |record, caller| {
            let next = record.session_of(&asked);
            let token = next.token;
            let change = PasswordChange {
                next_session: Some(next),
                ..change_of(&asked, &format!("$2b$12$round{round}by{caller}"))
            };
            Box::pin(async move {
                let answer =
                    record.record().change_password(change, Actor::node(), record.deadline()).await;
                (answer.expect("changing works").is_some(), token)
            })
        })
        .await;
        let winner = answers.iter().position(|(won, _)| *won).expect("one wins");
        assert!(!answers[1 - winner].0, "round {round}: both won");
        for (won, token) in answers {
            assert_eq!(record.found(token).await.is_some(), won, "round {round}");
        }
        let found = record.find("alice").await.expect("she stays");
        let stored = found.hash.expect("it was set");
        assert_eq!(stored.expose(), format!("$2b$12$round{round}by{winner}"));
        user = found.user;
    }
}

pub async fn two_hundred_logins_of_one_user_all_succeed(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let user = record.user("alice").await;
    let asked = user.clone();
    let logins: Vec<Login> = all_at_once(&record, 200, move |record, _| {
        let new = record.session_of(&asked);
        Box::pin(async move { record.login_with(new).await })
    })
    .await;
    let listed: BTreeSet<SessionId> =
        record.list(&user, 300).await.into_iter().map(|session| session.id).collect();
    assert_eq!(listed.len(), 200);
    for login in &logins {
        let found = record.found(login.token).await.expect("it was acknowledged");
        assert_eq!(found.session.id, login.id);
        assert!(listed.contains(&login.id));
    }
}

pub async fn revocations_at_once_get_positions_without_gaps(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let user = record.user("alice").await;
    let witness = record.login(&user).await.token;
    let mut ending = Vec::new();
    for _ in 0..100 {
        ending.push(record.login(&user).await);
    }
    let ids: Vec<SessionId> = ending.iter().map(|login| login.id).collect();
    let before = record.head().await;
    all_at_once(&record, ids.len(), move |record, caller| {
        let id = ids[caller];
        Box::pin(async move {
            let asked_at = record.head().await.newest.position;
            assert_eq!(record.end(SessionEnd::One(id)).await, 1);
            // What is read after the acknowledgement has seen the revocation's own row.
            let read = record.found(witness).await.expect("nobody ends the witness");
            assert!(read.as_of.position > asked_at);
            assert!(record.head().await.newest.position >= read.as_of.position);
        })
    })
    .await;

    let moved = record.head().await.newest.position.0 - before.newest.position.0;
    assert_eq!(moved, 100);
    let rows = record.feed_after(before.newest.position).await;
    let told: BTreeSet<SessionId> = rows
        .iter()
        .map(|row| match row {
            FeedKind::Session(id) => *id,
            other => panic!("{other:?} was not asked for"),
        })
        .collect();
    assert_eq!(told, ending.iter().map(|login| login.id).collect());
    for login in &ending {
        assert!(!record.lives(login).await);
    }
}

/// Each session is ended by three who come at once and in different ways: one of them ends it, and
/// each hears what it wrote, whoever else is answered together with it.
pub async fn each_who_revokes_at_once_is_told_its_own_rows(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let user = record.user("alice").await;
    let mut logins = Vec::new();
    for _ in 0..40 {
        logins.push(record.login(&user).await);
    }
    let before = record.head().await;
    let ids: Vec<(SessionId, TokenHash)> =
        logins.iter().map(|login| (login.id, login.token)).collect();
    let asked = ids.clone();
    let answers = all_at_once(&record, 3 * ids.len(), move |record, caller| {
        let (id, token) = asked[caller / 3];
        let by_id = caller % 3 == 0;
        let which = match caller % 3 {
            0 => SessionEnd::One(id),
            1 => SessionEnd::Token(token),
            _ => SessionEnd::OneOf(user.id, id),
        };
        Box::pin(async move {
            let written =
                record.record().end_sessions(which, record.now(), Actor::node(), record.deadline());
            let written = written.await.expect("ending sessions works");
            record.assert_told(&written.rows).await;
            let kinds: Vec<FeedKind> = written.rows.iter().map(|row| row.kind).collect();
            let expected = usize::from(by_id || written.value == 1);
            assert_eq!(kinds, vec![FeedKind::Session(id); expected], "{which:?}");
            written
        })
    })
    .await;
    let mut told: Vec<FeedRow> = Vec::new();
    for (three, (id, _)) in answers.chunks(3).zip(&ids) {
        assert_eq!(three.iter().map(|written| written.value).sum::<u64>(), 1, "{id}");
        told.extend(three.iter().flat_map(|written| &written.rows));
    }
    told.sort_by_key(|row| row.at.position);
    assert_eq!(told, record.poll(Some(before.newest.position), u32::MAX).await.rows);
}

pub async fn a_shared_secret_is_one_for_all(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let other = record.second_node().await;
    let answers = all_at_once(&record, 20, move |record, caller| {
        let other = other.clone();
        let fresh = vec![u8::try_from(caller).expect("twenty callers"); 32];
        Box::pin(async move {
            let node = if caller % 2 == 0 { record.record() } else { &*other };
            let answer = node.shared_secret("session-keys", fresh, record.deadline()).await;
            answer.expect("asking works")
        })
    })
    .await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0], vec![answers[0][0]; 32], "it is one of those offered");
}

pub async fn nodes_that_migrate_at_once_do_not_disturb_each_other(subject: Subject) {
    let record = Arc::new(Fixture::unmigrated(subject));
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(record.second_node().await);
    }
    let applied = all_at_once(&record, 8, move |record, caller| {
        let node = nodes[caller % nodes.len()].clone();
        Box::pin(async move {
            node.migrate(record.deadline()).await.expect("migrating works whoever else does it")
        })
    })
    .await;
    let applied: Vec<String> = applied.into_iter().flatten().collect();
    let once: BTreeSet<&String> = applied.iter().collect();
    assert_eq!(once.len(), applied.len(), "each migration is applied once: {applied:?}");
    let user = record.user("alice").await;
    assert!(record.lives(&record.login(&user).await).await);
}
