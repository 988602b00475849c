//! Cases about password hashes and credential generations.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use nightlatch_core::{
    Actor, ChangedPassword, FeedKind, FoundSession, Generation, HashKind, NewSession, NewUser,
    PasswordChange, PasswordHash, User, UserId,
};

use super::Subject;
use super::fixture::{Fixture, hash};

/// A change that the user asks for, without a next session.
pub(super) fn change_of(user: &User, to: &str) -> PasswordChange {
    PasswordChange {
        user_id: user.id,
        verified_at: Some(user.generation),
        hash: hash(to),
        next_session: None,
    }
}

async fn change(record: &Fixture, change: PasswordChange) -> Option<User> {
    Some(change_with_next(record, change).await?.user)
}

async fn change_with_next(record: &Fixture, change: PasswordChange) -> Option<ChangedPassword> {
    let answer = record.record().change_password(change, Actor::node(), record.deadline()).await;
    Some(record.told(answer.expect("changing works")?).await)
}

async fn stored(record: &Fixture, name: &str) -> Option<PasswordHash> {
    record.find(name).await.expect("the user is there").hash
}

pub async fn a_hash_is_upgraded_only_if_it_still_is_the_old_one(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await;
    let upgrade = async |id, old: &str, new: &str| {
        let answer =
            record.record().upgrade_hash(id, hash(old), hash(new), record.deadline()).await;
        answer.expect("upgrading works")
    };
    assert!(!upgrade(user.id, "$2b$12$other", "$argon2id$v=19$m=1,t=1,p=1$a$b").await);
    assert_eq!(stored(&record, "alice").await, Some(hash("$2b$12$first")));
    assert!(upgrade(user.id, "$2b$12$first", "$argon2id$v=19$m=1,t=1,p=1$a$b").await);
    assert!(!upgrade(user.id, "$2b$12$first", "$2b$12$late").await);
    assert_eq!(stored(&record, "alice").await, Some(hash("$argon2id$v=19$m=1,t=1,p=1$a$b")));
    let stranger = UserId::fresh(record.entropy(), record.now());
    assert!(!upgrade(stranger, "$2b$12$first", "$2b$12$late").await);

    assert_eq!(record.find("alice").await.expect("there").user, user, "no generation is raised");
    assert!(record.lives(&login).await);
    record.assert_feed(before, &[]).await;
}

pub async fn each_kind_of_hash_is_listed_once(subject: Subject) {
    let record = Fixture::over(subject).await;
    let kinds = async || {
        let mut kinds = record.record().list_hash_kinds(record.deadline()).await.expect("listing");
        kinds.sort_unstable();
        kinds
    };
    assert!(kinds().await.is_empty());
    for (name, stored) in [
        ("a", Some("$2b$12$one")),
        ("b", Some("$2b$12$two")),
        ("c", Some("pbkdf2_sha256$600000$salt$tag")),
        ("d", Some("!unusable")),
        ("e", None),
    ] {
        record.create(NewUser { hash: stored.map(hash), ..record.new_user(name) }).await;
    }
    let expected = ["$2b$12", "pbkdf2_sha256$600000", "unusable"];
    assert_eq!(kinds().await, expected.map(|kind| HashKind(kind.to_owned())));
}

pub async fn a_password_change_ends_all_sessions_but_the_next(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let (first, second) = (record.login(&alice).await, record.login(&alice).await);
    let other = record.login(&bob).await;
    let before = record.head().await;

    let next = record.session_of(&alice);
    let next_token = next.token;
    let wanted = PasswordChange {
        next_session: Some(NewSession { replaces: Some(first.token), ..next.clone() }),
        ..change_of(&alice, "$2b$12$second")
    };
    let changed = change_with_next(&record, wanted).await.expect("the generation did not move");
    let (changed, told) = (changed.user, changed.next.expect("it was asked for"));
    assert_eq!(changed, User { generation: Generation(alice.generation.0 + 1), ..alice.clone() });
    record.assert_feed(before, &[FeedKind::UserBelow(alice.id, changed.generation)]).await;

    assert_eq!(stored(&record, "alice").await, Some(hash("$2b$12$second")));
    assert!(!record.lives(&first).await && !record.lives(&second).await);
    let found = record.found(next_token).await.expect("the caller goes on");
    assert_eq!((&found.session, &found.user), (&next.session, &changed));
    // A copy of it is as good as one that is read from now on, or older, but never newer.
    assert_eq!(FoundSession { as_of: found.as_of, ..told.clone() }, found);
    assert!(told.as_of == before.newest || told.as_of == found.as_of, "{told:?}");
    assert!(record.lives(&other).await);
    assert!(record.try_login(record.session_of(&alice)).await.is_none(), "the old generation");
    assert!(record.lives(&record.login(&changed).await).await);
}

pub async fn a_password_change_is_refused_when_the_generation_moved(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let changed = change(&record, change_of(&user, "$2b$12$second")).await.expect("not moved");
    let login = record.login(&changed).await;
    let before = record.head().await;
    let late = PasswordChange {
        next_session: Some(record.session_of(&user)),
        ..change_of(&user, "$2b$12$third")
    };
    let late_token = late.next_session.as_ref().expect("set above").token;
    assert!(change(&record, late).await.is_none());
    record.assert_feed(before, &[]).await;
    assert_eq!(stored(&record, "alice").await, Some(hash("$2b$12$second")));
    assert!(record.lives(&login).await);
    assert!(record.found(late_token).await.is_none());
}

pub async fn operators_change_passwords_whoever_may_log_in(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let by_operator = |id, to: &str| PasswordChange {
        user_id: id,
        verified_at: None,
        hash: hash(to),
        next_session: None,
    };
    let login = record.login(&user).await;
    let changed = change_with_next(&record, by_operator(user.id, "$2b$12$second")).await;
    let changed = changed.expect("whatever the generation");
    assert!(changed.user.generation > user.generation && changed.next.is_none());
    assert!(!record.lives(&login).await);
    let stranger = UserId::fresh(record.entropy(), record.now());
    assert!(change(&record, by_operator(stranger, "$2b$12$x")).await.is_none());

    let disabled = record.set_enabled(user.id, false).await;
    assert!(change(&record, change_of(&disabled, "$2b$12$third")).await.is_none());
    assert_eq!(stored(&record, "alice").await, Some(hash("$2b$12$second")));

    let before = record.head().await;
    let changed = change(&record, by_operator(user.id, "$2b$12$third")).await.expect("is there");
    let generation = Generation(disabled.generation.0 + 1);
    assert_eq!(changed, User { generation, ..disabled }, "the account stays locked");
    record.assert_feed(before, &[FeedKind::UserBelow(user.id, generation)]).await;
    assert_eq!(stored(&record, "alice").await, Some(hash("$2b$12$third")));
    assert!(record.try_login(record.session_of(&changed)).await.is_none());

    let enabled = record.set_enabled(user.id, true).await;
    assert!(!record.lives(&login).await, "no session of before comes back");
    assert!(record.lives(&record.login(&enabled).await).await);
}
