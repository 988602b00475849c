//! Cases about refresh tokens and signing keys.
//!
//! That an exchange happens once, whatever becomes of its answer, is the record's doing alone: who asks
//! keeps nothing.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, FeedKind, HEARTBEAT_EVERY, KeyId, NewRefresh, NodeId, Rotated, Rotation, SessionEnd,
    SessionId, StoredKey, TokenHash, User,
};

use super::Subject;
use super::fixture::{DAY, Fixture, HOUR, Login, all_at_once};

const GRACE: Duration = Duration::from_secs(30);
const KEY: KeyId = [1, 2, 3, 4];
const ROUNDS: u32 = 50;

/// A token of a session, by its number.
fn token(session: SessionId, step: u32) -> TokenHash {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&step.to_be_bytes());
    bytes[16..].copy_from_slice(session.as_uuid().as_bytes());
    TokenHash::from_bytes(bytes)
}

/// A session whose client has tokens.
async fn login(record: &Fixture, user: &User) -> Login {
    let mut new = record.session_of(user);
    let id = new.session.id;
    new.token = TokenHash::of_bearer(id);
    let expires_at = record.now().after(DAY);
    new.refresh = Some(NewRefresh { token: token(id, 0), expires_at });
    record.login_with(new).await
}

/// What a token of a number says of the one before.
fn before(login: &Login, step: u32) -> [u8; 16] {
    let before = step.checked_sub(1).map(|before| token(login.id, before));
    let mut said = [0; 16];
    if let Some(before) = before {
        said.copy_from_slice(&before.as_bytes()[..16]);
    }
    said
}

/// The token of a number is presented, known to be ours.
fn rotation(record: &Fixture, login: &Login, step: u32) -> Rotation {
    Rotation {
        session: login.id,
        presented: token(login.id, step),
        step,
        before: before(login, step),
        is_proven: true,
        successor: token(login.id, step + 1),
        key: KEY,
        keys: vec![KEY],
        now: record.now(),
        expires_at: record.now().after(DAY),
        idle_since: None,
        grace: GRACE,
    }
}

async fn rotate(record: &Fixture, rotation: Rotation) -> Rotated {
    let answer = record.record().rotate(rotation, Actor::node(), record.deadline()).await;
    record.told(answer.expect("exchanging works")).await
}

async fn assert_renewed(record: &Fixture, rotation: Rotation) {
    match rotate(record, rotation.clone()).await {
        Rotated::Renewed { found, key } => {
            assert_eq!((found.session.id, key), (rotation.session, KEY));
            assert_eq!(found.session.user_id, found.user.id);
        }
        other => panic!("step {}: {other:?}", rotation.step),
    }
}

pub async fn a_refresh_token_is_exchanged_once_and_told_again(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    let head = record.head().await;
    for step in 0..5 {
        for _ in 0..3 {
            assert_renewed(&record, rotation(&record, &login, step)).await;
        }
    }
    record.assert_feed(head, &[]).await;
    // Another key since: what was derived before is told by the key that it was derived by.
    let later = Rotation { key: [9; 4], ..rotation(&record, &login, 4) };
    assert_renewed(&record, later).await;
    assert!(record.lives(&login).await);
}

pub async fn an_exchange_is_a_use(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    let at = record.now().after(HOUR);
    assert_renewed(&record, Rotation { now: at, ..rotation(&record, &login, 0) }).await;
    let found = record.found(login.token).await.expect("it lives");
    assert_eq!(found.session.last_seen_at, at);
}

pub async fn a_refresh_token_that_was_exchanged_before_ends_its_session(subject: Subject) {
    let record = Fixture::over(subject).await;
    let alice = record.user("alice").await;
    let (login, other) = (login(&record, &alice).await, record.login(&alice).await);
    for step in [0, 1] {
        assert_renewed(&record, rotation(&record, &login, step)).await;
    }
    let head = record.head().await;
    assert_eq!(rotate(&record, rotation(&record, &login, 0)).await, Rotated::Reused);
    record.assert_feed(head, &[FeedKind::Session(login.id)]).await;
    assert!(!record.lives(&login).await && record.lives(&other).await);
    for step in [2, 1, 0] {
        assert_eq!(rotate(&record, rotation(&record, &login, step)).await, Rotated::Ended);
    }
}

/// A network has held it, and its client has asked again elsewhere and gone on.
pub async fn an_exchange_that_arrives_late_ends_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    for step in [0, 1] {
        assert_renewed(&record, rotation(&record, &login, step)).await;
    }
    let head = record.head().await;
    let second = Duration::from_secs(1);
    let late = Rotation { now: record.now().before(second), ..rotation(&record, &login, 0) };
    assert_eq!(rotate(&record, late.clone()).await, Rotated::Late);
    assert_eq!(rotate(&record, Rotation { is_proven: false, ..late }).await, Rotated::Ended);
    record.assert_feed(head, &[]).await;
    assert_renewed(&record, rotation(&record, &login, 2)).await;
    // Of a use that is yet to come, as by a clock that was wrong, nothing follows.
    let ahead = Rotation { now: record.wall().after(HOUR), ..rotation(&record, &login, 3) };
    assert_renewed(&record, ahead).await;
    assert_eq!(rotate(&record, rotation(&record, &login, 0)).await, Rotated::Reused);
}

/// Time in which no node reaches the record is not the client's fault.
pub async fn the_grace_runs_in_service_time(subject: Subject) {
    let record = Fixture::over(subject).await;
    let node = NodeId::fresh(record.entropy(), record.now());
    let beat = async || {
        record.record().heartbeat(node, record.deadline()).await.expect("beating works");
    };
    beat().await;
    let login = login(&record, &record.user("alice").await).await;
    assert_renewed(&record, rotation(&record, &login, 0)).await;
    if !record.make_heartbeats_older(HOUR).await {
        return;
    }
    assert_renewed(&record, rotation(&record, &login, 0)).await;
    for _ in 0..3 {
        beat().await;
        record.make_heartbeats_older(HEARTBEAT_EVERY).await;
    }
    beat().await;
    assert_eq!(rotate(&record, rotation(&record, &login, 0)).await, Rotated::Reused);
}

pub async fn only_who_may_log_in_refreshes(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let (hers, his) = (login(&record, &alice).await, login(&record, &bob).await);
    let cookie = record.login(&alice).await;
    let first = |login| rotation(&record, login, 0);
    let past = |by| record.now().after(by);
    for (what, rotation) in [
        (
            "a session that was never there",
            Rotation { session: SessionId::fresh(record.entropy(), record.now()), ..first(&hers) },
        ),
        ("a session with a cookie", first(&cookie)),
        ("an expired token", Rotation { now: past(DAY), ..first(&hers) }),
        ("an expired session", Rotation { now: past(30 * DAY), ..first(&hers) }),
        ("an idle session", Rotation { idle_since: Some(past(HOUR)), ..first(&hers) }),
    ] {
        assert_eq!(rotate(&record, rotation).await, Rotated::Ended, "{what}");
    }
    assert_renewed(
        &record,
        Rotation { idle_since: Some(record.now().before(HOUR)), ..first(&hers) },
    )
    .await;
    record.set_enabled(bob.id, false).await;
    assert_eq!(rotate(&record, first(&his)).await, Rotated::Ended, "disabled");
    record.set_enabled(bob.id, true).await;
    assert_eq!(rotate(&record, first(&his)).await, Rotated::Ended, "of an older generation");
    assert_eq!(record.end(SessionEnd::One(hers.id)).await, 1);
    assert_eq!(rotate(&record, rotation(&record, &hers, 1)).await, Rotated::Ended, "logged out");
}

pub async fn what_anybody_may_have_invented_ends_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    let invented = TokenHash::from_bytes([7; 32]);
    for step in [0, 1, 1000] {
        let mut invented = Rotation { presented: invented, step, ..rotation(&record, &login, 0) };
        invented.is_proven = false;
        assert_eq!(rotate(&record, invented).await, Rotated::Ended);
    }
    let unproven = |step| Rotation { is_proven: false, ..rotation(&record, &login, step) };
    assert_renewed(&record, unproven(0)).await;
    assert_renewed(&record, unproven(0)).await;
    assert!(record.lives(&login).await);
    for (presented, is_known) in
        [(token(login.id, 0), true), (token(login.id, 1), true), (invented, false)]
    {
        let known = record.record().knows_refresh(login.id, presented, record.deadline());
        assert_eq!(known.await.expect("asking works"), is_known);
    }
    // Nobody invents what the record knows, whichever key it was signed with.
    let late = Rotation { grace: Duration::ZERO, ..unproven(0) };
    if later(&record).await {
        assert_eq!(rotate(&record, late).await, Rotated::Reused);
        assert!(!record.lives(&login).await);
    }
}

/// Lets some service time pass; `false` if this record's test gives no way to.
async fn later(record: &Fixture) -> bool {
    let node = NodeId::fresh(record.entropy(), record.now());
    record.record().heartbeat(node, record.deadline()).await.expect("beating works");
    record.make_heartbeats_older(HEARTBEAT_EVERY).await
}

/// Who is late by a node that cannot derive what was told is no thief.
pub async fn a_node_without_the_key_ends_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    assert_renewed(&record, rotation(&record, &login, 0)).await;
    if !later(&record).await {
        return;
    }
    let late = Rotation { grace: Duration::ZERO, ..rotation(&record, &login, 0) };
    assert_renewed(&record, Rotation { keys: vec![[9; 4]], ..late.clone() }).await;
    assert_eq!(rotate(&record, late).await, Rotated::Reused);
}

/// The record has gone back over an exchange whose token the client has.
pub async fn a_token_that_follows_from_what_the_record_knows_is_good(subject: Subject) {
    let record = Fixture::over(subject).await;
    let login = login(&record, &record.user("alice").await).await;
    for other in [
        // Whoever had our key could make these.
        Rotation { before: [7; 16], ..rotation(&record, &login, 1) },
        Rotation { before: before(&login, 1), ..rotation(&record, &login, 2) },
        rotation(&record, &login, 3),
    ] {
        assert_eq!(rotate(&record, other).await, Rotated::Ended);
    }
    assert_renewed(&record, rotation(&record, &login, 1)).await;
    assert_renewed(&record, rotation(&record, &login, 2)).await;
    assert_eq!(rotate(&record, rotation(&record, &login, 1)).await, Rotated::Reused);
}

pub async fn of_many_who_present_one_token_all_are_told_one_successor(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let second = record.second_node().await;
    let login = login(&record, &record.user("alice").await).await;
    for step in 0..5 {
        let asked = rotation(&record, &login, step);
        let second = Arc::clone(&second);
        let told = all_at_once(&record, 50, move |record, caller| {
            let second = Arc::clone(&second);
            // As if each had a key of its own.
            let key = KeyId::from(u32::try_from(caller).expect("few").to_be_bytes());
            let mine = Rotation { key, ..asked.clone() };
            Box::pin(async move {
                let port = if caller % 2 == 0 { record.record() } else { &*second };
                let told = port
                    .rotate(mine, Actor::node(), record.deadline())
                    .await
                    .expect("exchanging works");
                match told.value {
                    Rotated::Renewed { key, .. } => key,
                    other => panic!("caller {caller}: {other:?}"),
                }
            })
        })
        .await;
        assert!(told.iter().all(|key| *key == told[0]), "{told:?}");
    }
    assert!(record.lives(&login).await);
}

pub async fn a_refresh_never_survives_a_logout(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let alice = record.user("alice").await;
    for round in 0..ROUNDS {
        let login = login(&record, &alice).await;
        let (asked, id) = (rotation(&record, &login, 0), login.id);
        let told = all_at_once(&record, 2, move |record, caller| {
            let asked = asked.clone();
            Box::pin(async move {
                if caller == 0 {
                    let told =
                        record.record().rotate(asked, Actor::node(), record.deadline()).await;
                    match told.expect("exchanging works").value {
                        Rotated::Renewed { found, .. } => Some(found.as_of.position),
                        Rotated::Ended => None,
                        Rotated::Reused | Rotated::Late => panic!("nobody has used it"),
                    }
                } else {
                    let ended = record.record().end_sessions(
                        SessionEnd::One(id),
                        record.now(),
                        Actor::node(),
                        record.deadline(),
                    );
                    let ended = ended.await.expect("ending works");
                    Some(ended.rows.first().expect("it tells the feed").at.position)
                }
            })
        })
        .await;
        assert!(!record.lives(&login).await, "round {round}");
        // What it gives out does not look as if it were read after the logout.
        assert!(told[0].is_none_or(|as_of| Some(as_of) < told[1]), "round {round}: {told:?}");
        let next = rotation(&record, &login, 1);
        assert_eq!(rotate(&record, next).await, Rotated::Ended, "round {round}");
    }
}

pub async fn the_first_signing_key_of_a_number_is_kept(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let key = |number: u32, content: u8| StoredKey {
        number,
        sealed: vec![content; 60],
        stored_at: record.now(),
        signs_from: record.now().after(HOUR),
    };
    let list = async || record.record().list_keys(record.deadline()).await.expect("listing works");
    assert!(list().await.is_empty());
    let keys: Vec<_> = (0..8).map(|content| key(1, content)).collect();
    let added = all_at_once(&record, keys.len(), move |record, caller| {
        let key = keys[caller].clone();
        Box::pin(async move {
            record
                .record()
                .add_key(key, Actor::node(), record.deadline())
                .await
                .expect("storing works")
        })
    })
    .await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1);
    let first = added.iter().position(|added| *added).expect("one was first");
    let first = key(1, u8::try_from(first).expect("few"));
    let second = key(2, 9);
    let stored = record.record().add_key(second.clone(), Actor::node(), record.deadline()).await;
    assert!(stored.expect("storing works"));
    assert_eq!(list().await, [first.clone(), second]);
    for (old, new) in [(vec![1, 2], vec![3]), (first.sealed.clone(), vec![5; 60])] {
        let sealed = record.record().reseal_key(1, (old, new), record.deadline());
        sealed.await.expect("sealing anew works");
    }
    assert_eq!(list().await[0], StoredKey { sealed: vec![5; 60], ..first });
}
