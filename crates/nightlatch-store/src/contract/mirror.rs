//! Cases about users whom another service knows.
//!
//! Whoever mixes two of them up, or one of them with somebody who has a password here, gives an account
//! away.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, CreateUser, Email, FeedKind, Groups, MirrorFound, MirrorKeys, MirrorUpdate, Mirrored,
    NewUser, PasswordChange, SessionEnd, StandingNote, StandingPage, StandingQuery, Subject,
    Timestamp, User, UserId, Username,
};

use super::Subject as Case;
use super::fixture::{Fixture, all_at_once, hash};

fn subject(text: &str) -> Subject {
    Subject::try_new(text).expect("a good id")
}

fn username(text: &str) -> Username {
    Username::try_existing(text).expect("a good name")
}

fn email(text: &str) -> Email {
    Email::try_new(text).expect("a good address")
}

fn new_mirror(record: &Fixture, id: &str, name: &str) -> NewUser {
    NewUser { hash: None, subject: Some(subject(id)), ..record.new_user(name) }
}

async fn mirror(record: &Fixture, id: &str, name: &str) -> User {
    match record.create(new_mirror(record, id, name)).await {
        CreateUser::Created(user) => user,
        other => panic!("{name}: {other:?}"),
    }
}

async fn find(record: &Fixture, id: &str, name: &str, mail: Option<&str>) -> Vec<MirrorFound> {
    let keys =
        MirrorKeys { subject: subject(id), username: username(name), email: mail.map(email) };
    let found = record.record().find_mirrored(keys, record.deadline()).await;
    let mut found = found.expect("finding works");
    found.sort_by_key(|it| it.user.id);
    found
}

fn update(user: &User, id: &str, name: &str) -> MirrorUpdate {
    MirrorUpdate {
        id: user.id,
        subject: subject(id),
        username: username(name),
        email: user.email.clone(),
        email_verified: true,
        name: "Said".to_owned(),
        groups: Groups::try_new(["a", "b"]).expect("good names"),
    }
}

async fn try_update(record: &Fixture, update: MirrorUpdate) -> Option<User> {
    let updated = record.record().update_mirrored(update, record.deadline()).await;
    match updated.expect("updating works") {
        Some(written) => Some(record.told(written).await),
        None => None,
    }
}

pub async fn a_mirrored_user_is_found_by_subject_name_and_email(case: Case) {
    let record = Fixture::over(case).await;
    let alice = mirror(&record, "id|1", "Alice").await;
    let bob = record.user("bob").await;
    let carol = record.user("carol").await;
    let hers =
        MirrorFound { user: alice.clone(), subject: Some(subject("id|1")), has_password: false };
    let his = MirrorFound { user: bob, subject: None, has_password: true };
    let of_carol = MirrorFound { user: carol, subject: None, has_password: true };
    for (keys, expected) in [
        (("id|1", "nobody", None), vec![&hers]),
        (("id|2", "ＡLICE", None), vec![&hers]),
        (("id|2", "nobody", Some("ALICE@example.com")), vec![&hers]),
        (("id|1", "bob", Some("carol@example.com")), vec![&hers, &his, &of_carol]),
        (("ID|1", "nobody", Some("nobody@example.com")), vec![]),
    ] {
        let (id, name, mail) = keys;
        let found = find(&record, id, name, mail).await;
        let mut expected = expected;
        expected.sort_by_key(|it| it.user.id);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{keys:?}");
    }
    let credentials = record.find("alice").await.expect("it is there");
    assert_eq!((credentials.subject, credentials.hash), (Some(subject("id|1")), None));
    let same = new_mirror(&record, "id|1", "another");
    let same = NewUser { email: None, ..same };
    assert_eq!(record.create(same).await, CreateUser::SubjectTaken);
}

pub async fn what_is_said_of_a_mirrored_user_is_written_and_told(case: Case) {
    let record = Fixture::over(case).await;
    let alice = mirror(&record, "1", "alice").await;
    let login = record.login(&alice).await;
    let head = record.head().await;
    let renamed = MirrorUpdate { email: None, ..update(&alice, "1", "Alicia") };
    let told = try_update(&record, renamed).await.expect("it is hers");
    record.assert_feed(head, &[FeedKind::RefetchUser(alice.id)]).await;
    let expected = User {
        username: username("Alicia"),
        email: None,
        email_verified: true,
        name: "Said".to_owned(),
        groups: Groups::try_new(["a", "b"]).expect("good names"),
        ..alice.clone()
    };
    assert_eq!(told, expected);
    assert_eq!(record.found(login.token).await.expect("it lives").user, expected);
    assert!(
        record.find("alice").await.is_none() && record.find("alice@example.com").await.is_none()
    );
    assert_eq!(record.find("alicia").await.expect("the new name").user, expected);
    // Her old name is free, and so is her address.
    record.user("alice").await;
}

pub async fn nobody_with_a_password_becomes_a_mirror(case: Case) {
    let record = Fixture::over(case).await;
    let bob = record.user("bob").await;
    assert_eq!(try_update(&record, update(&bob, "1", "bob")).await, None);
    let added = NewUser { hash: None, ..record.new_user("carol") };
    let CreateUser::Created(carol) = record.create(added).await else { panic!("it was free") };
    assert!(try_update(&record, update(&carol, "1", "carol")).await.is_some());
    assert_eq!(try_update(&record, update(&carol, "2", "carol")).await, None, "of another subject");
    assert_eq!(record.find("carol").await.expect("there").subject, Some(subject("1")));
    assert_eq!(record.find("bob").await.expect("there").subject, None);
}

pub async fn no_mirror_gets_a_password(case: Case) {
    let record = Fixture::over(case).await;
    let alice = mirror(&record, "1", "alice").await;
    let login = record.login(&alice).await;
    for verified_at in [None, Some(alice.generation)] {
        let change = PasswordChange {
            user_id: alice.id,
            verified_at,
            hash: hash("$2b$12$other"),
            next_session: None,
        };
        let changed =
            record.record().change_password(change, Actor::node(), record.deadline()).await;
        assert!(changed.expect("changing works").is_none());
    }
    assert!(record.lives(&login).await);
    assert_eq!(record.find("alice").await.expect("there").hash, None);
}

pub async fn what_is_somebody_elses_is_not_taken_over(case: Case) {
    let record = Fixture::over(case).await;
    let alice = mirror(&record, "1", "alice").await;
    let bob = mirror(&record, "2", "bob").await;
    let head = record.head().await;
    for taken in [
        update(&alice, "1", "BOB"),
        MirrorUpdate { email: bob.email.clone(), ..update(&alice, "1", "alice") },
        update(&alice, "2", "alice"),
    ] {
        assert_eq!(try_update(&record, taken.clone()).await, None, "{taken:?}");
    }
    record.assert_feed(head, &[]).await;
    assert_eq!(record.find("alice").await.expect("there").user, alice);
}

pub async fn of_many_who_mirror_one_person_one_does(case: Case) {
    let record = Arc::new(Fixture::over(case).await);
    let outcomes = all_at_once(&record, 20, |record, _| {
        Box::pin(async move { record.create(new_mirror(&record, "1", "alice")).await })
    })
    .await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, CreateUser::Created(_)));
    assert_eq!(created.count(), 1);
    assert_eq!(find(&record, "1", "alice", None).await.len(), 1);
}

pub async fn of_many_who_are_given_one_name_one_gets_it(case: Case) {
    let record = Arc::new(Fixture::over(case).await);
    for round in 0..5 {
        let mut mirrors = Vec::new();
        for at in 0..10 {
            let id = format!("{round}-{at}");
            mirrors.push((mirror(&record, &id, &format!("user-{id}")).await, id));
        }
        let given = all_at_once(&record, 10, move |record, caller| {
            let (user, id) = mirrors[caller].clone();
            Box::pin(async move {
                try_update(&record, update(&user, &id, &format!("alice-{round}"))).await
            })
        })
        .await;
        assert_eq!(given.iter().flatten().count(), 1, "{given:?}");
    }
}

const MINUTE: Duration = Duration::from_mins(1);

/// As a node sees it a minute after `asked_before`.
async fn page(
    record: &Fixture,
    after: Option<&str>,
    asked_before: Timestamp,
    limit: u32,
) -> StandingPage {
    let query = StandingQuery {
        after: after.map(subject),
        asked_before,
        now: asked_before.after(MINUTE),
        noted_within: Duration::from_secs(15),
        limit,
    };
    record.record().list_standings(query, record.deadline()).await.expect("listing works")
}

/// The same.
async fn note(
    record: &Fixture,
    ids: &[UserId],
    asked_before: Timestamp,
    asked_at: Timestamp,
) -> Vec<UserId> {
    let now = asked_before.after(MINUTE);
    let note = StandingNote { ids: ids.to_vec(), asked_before, now, asked_at };
    record.record().note_standings(note, record.deadline()).await.expect("noting works")
}

pub async fn who_is_due_is_asked_about_once(case: Case) {
    let record = Fixture::over(case).await;
    // Of these one alone is a mirror that is logged in.
    let bob = record.user("bob").await;
    record.login(&bob).await;
    let mut mirrors = Vec::new();
    for (id, name) in [("1", "alice"), ("2", "carol"), ("3", "dave"), ("4", "erin")] {
        mirrors.push(mirror(&record, id, name).await);
    }
    let [alice, _, dave, erin] = &mirrors[..] else { panic!("they are four") };
    let login = record.login(alice).await;
    let ended = record.login(dave).await;
    record.login(erin).await;
    let now = record.now();
    let end = SessionEnd::Token(ended.token);
    record
        .record()
        .end_sessions(end, now, Actor::node(), record.deadline())
        .await
        .expect("ending works");
    let disabled =
        record.record().set_enabled(erin.id, false, Actor::node(), record.deadline()).await;
    disabled.expect("disabling works").expect("she is there");

    let due = [Mirrored { id: alice.id, subject: subject("1"), username: username("alice") }];
    let all = page(&record, None, now, 100).await;
    assert_eq!((&all.due[..], &all.next), (&due[..], &None));
    assert_eq!(
        page(&record, None, now.before(MINUTE), 100).await.due,
        [],
        "she has just logged in"
    );
    // Page by page, whoever is due.
    let first = page(&record, None, now, 1).await;
    assert_eq!((&first.due[..], first.next), (&due[..], Some(subject("1"))));
    let second = page(&record, Some("1"), now, 1).await;
    assert_eq!(second, StandingPage { due: Vec::new(), next: Some(subject("2")) });
    let last = page(&record, Some("3"), now, 1).await;
    assert_eq!(last, StandingPage { due: Vec::new(), next: None });

    // Once asked about she is due when the span is over and the session was used since.
    let (asked, used) = (now.after(MINUTE / 2), now.after(MINUTE));
    assert_eq!(note(&record, &[alice.id, bob.id], now, asked).await.len(), 2);
    assert_eq!(note(&record, &[alice.id], now, used).await, [], "somebody has asked meanwhile");
    assert_eq!(page(&record, None, now, 100).await.due, [], "it was just now");
    assert_eq!(page(&record, None, used, 100).await.due, [], "she was away since");
    let seen = vec![(login.found.session.id, used)];
    record.record().touch_sessions(seen, record.deadline()).await.expect("touching works");
    assert_eq!(page(&record, None, used, 100).await.due, due);
    // A clock that was wrong puts nobody off for ever.
    assert_eq!(note(&record, &[alice.id], used, used.after(MINUTE * 60)).await, [alice.id]);
    assert_eq!(page(&record, None, used, 100).await.due, due);
    assert_eq!(note(&record, &[alice.id], used, used.after(MINUTE / 2)).await, [alice.id]);
    assert_eq!(page(&record, None, used, 100).await.due, []);
}

pub async fn nodes_share_whom_they_ask_about(case: Case) {
    let record = Arc::new(Fixture::over(case).await);
    let now = record.now();
    let mut ids = Vec::new();
    for id in 0..20 {
        ids.push(mirror(&record, &id.to_string(), &format!("user-{id}")).await.id);
    }
    let expected = ids.clone();
    let noted = all_at_once(&record, 8, move |record, caller| {
        let mut ids = ids.clone();
        if caller % 2 == 0 {
            ids.reverse();
        }
        Box::pin(async move { note(&record, &ids, now, now.after(Duration::from_secs(1))).await })
    })
    .await;
    let mut noted: Vec<UserId> = noted.into_iter().flatten().collect();
    noted.sort_unstable();
    let mut expected = expected;
    expected.sort_unstable();
    assert_eq!(noted, expected, "each is asked about by one");
}
