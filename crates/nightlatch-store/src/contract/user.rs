//! Cases about users.
//!
//! Every record must agree on who is who, or moving to another one would mix people up.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::sync::Arc;

use nightlatch_core::{
    Actor, CreateUser, Email, FeedKind, Generation, Groups, ImportOutcome, NewUser, PasswordHash,
    User, UserId, Username,
};

use super::Subject;
use super::fixture::{Fixture, all_at_once, hash, home};

pub async fn a_created_user_is_found_by_name_email_and_id(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("Alice").await;
    assert!(user.enabled);
    for typed in ["alice", " ALICE ", "Alice@Example.com"] {
        let found = record.find(typed).await.expect(typed);
        assert_eq!(found.user, user);
        assert_eq!(found.hash, Some(hash("$2b$12$first")));
        assert!(!found.prefix_is_known);
    }
    let by_id =
        record.record().find_credentials_by_id(user.id, home(), record.now(), record.deadline());
    assert_eq!(by_id.await.expect("finding works").expect("it is there").user, user);
    for nobody in ["bob", "bob@example.com", "alice@elsewhere.example", "not a name", ""] {
        assert!(record.find(nobody).await.is_none(), "{nobody}");
    }
    let stranger = UserId::fresh(record.entropy(), record.now());
    let by_id =
        record.record().find_credentials_by_id(stranger, home(), record.now(), record.deadline());
    assert!(by_id.await.expect("finding works").is_none());
}

pub async fn names_and_emails_are_taken_in_their_folded_form(subject: Subject) {
    let record = Fixture::over(subject).await;
    let alice = record.user("Alice").await;
    let same_name = NewUser { email: None, ..record.new_user("ＡLICE") };
    assert_eq!(record.create(same_name).await, CreateUser::UsernameTaken);
    let same_email = NewUser {
        email: Some(Email::try_new("ALICE@EXAMPLE.com").expect("an address")),
        ..record.new_user("bob")
    };
    assert_eq!(record.create(same_email).await, CreateUser::EmailTaken);
    assert!(record.find("bob").await.is_none(), "a refused user leaves nothing behind");
    for name in ["carol", "dave"] {
        let without_email = NewUser { email: None, ..record.new_user(name) };
        assert!(matches!(record.create(without_email).await, CreateUser::Created(_)), "{name}");
    }
    assert_eq!(record.find("alice").await.expect("still there").user, alice);
}

pub async fn of_many_who_want_one_name_one_gets_it(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let outcomes = all_at_once(&record, 20, |record, _| {
        Box::pin(async move { record.create(record.new_user("alice")).await })
    })
    .await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, CreateUser::Created(_)));
    assert_eq!(created.count(), 1);
}

pub async fn users_at_every_limit_come_back_as_they_were(subject: Subject) {
    let record = Fixture::over(subject).await;
    let longest = record.new_user("plain");
    let groups = (0..Groups::COUNT_MAX).map(|n| format!("{n:03}{}", "組".repeat(147)));
    let address = format!("{}@b.example", "é".repeat((Email::BYTES_MAX - 10) / 2));
    let longest = NewUser {
        username: Username::try_new(&"字".repeat(Username::CHARS_MAX)).expect("a long name"),
        email: Some(Email::try_new(&address).expect("a long address")),
        email_verified: true,
        name: "🙂 'quoted' \"twice\" \\ %_; --".to_owned() + &"字".repeat(120),
        groups: Groups::try_new(groups).expect("many long groups"),
        hash: Some(hash(&format!("$2b$12${}", "x".repeat(PasswordHash::BYTES_MAX - 7)))),
        ..longest
    };
    let hash = longest.hash.clone();
    let CreateUser::Created(user) = record.create(longest.clone()).await else {
        panic!("the record is empty");
    };
    let as_asked = User {
        id: longest.id,
        username: longest.username,
        email: longest.email,
        email_verified: true,
        name: longest.name,
        groups: longest.groups,
        generation: user.generation,
        enabled: true,
        created_at: longest.created_at,
    };
    assert_eq!(user, as_asked);
    let found = record.find(user.username.as_str()).await.expect("found by its name");
    assert_eq!((found.user, found.hash), (user.clone(), hash));
    assert_eq!(record.find(&address).await.expect("found by its address").user, user);
    assert_eq!(record.login(&user).await.found.user, user);
}

pub async fn users_are_listed_by_folded_name_in_pages(subject: Subject) {
    let record = Fixture::over(subject).await;
    // The order is that of code points. A database's locale would put "a_b" behind "aa".
    let names = ["Zoe", "aa", "a_b", "a-b", "Éva", "bob", "字"];
    for name in names {
        let user = NewUser { email: None, ..record.new_user(name) };
        assert!(matches!(record.create(user).await, CreateUser::Created(_)), "{name}");
    }
    let mut listed = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..names.len() {
        let page = record.record().list_users(after.as_deref(), 2, record.deadline());
        let page = page.await.expect("listing works");
        assert!(page.len() <= 2);
        after = page.last().map(|user| user.username.folded().to_owned()).or(after);
        listed.extend(page.into_iter().map(|user| user.username.as_str().to_owned()));
    }
    assert_eq!(listed, ["a-b", "a_b", "aa", "bob", "Zoe", "Éva", "字"]);
}

pub async fn groups_and_verified_emails_are_told_to_copies(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await;

    let groups = Groups::try_new(["staff", "admins"]).expect("plain names");
    let grouped =
        record.record().set_groups(user.id, groups.clone(), Actor::node(), record.deadline()).await;
    let grouped = record.told(grouped.expect("setting works").expect("the user is there")).await;
    assert_eq!(grouped, User { groups, ..user.clone() });
    let verified = record.record().verify_email(user.id, Actor::node(), record.deadline()).await;
    let verified = verified.expect("verifying works").expect("there is an e-mail");
    let verified = record.told(verified).await;
    assert_eq!(verified, User { email_verified: true, ..grouped });
    record.assert_feed(before, &[FeedKind::RefetchUser(user.id); 2]).await;

    let found = record.found(login.token).await.expect("neither ends a session");
    assert_eq!(found.user, verified);
    let stranger = UserId::fresh(record.entropy(), record.now());
    let none = record
        .record()
        .set_groups(stranger, Groups::default(), Actor::node(), record.deadline())
        .await;
    assert!(none.expect("setting works").is_none());
    let none = record.record().verify_email(stranger, Actor::node(), record.deadline()).await;
    assert!(none.expect("verifying works").is_none());

    let CreateUser::Created(mute) =
        record.create(NewUser { email: None, ..record.new_user("mute") }).await
    else {
        panic!("the name is free");
    };
    let none = record.record().verify_email(mute.id, Actor::node(), record.deadline()).await;
    assert!(none.expect("verifying works").is_none(), "there is no e-mail to verify");
}

pub async fn deleted_users_are_gone_with_their_sessions(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let (gone, stays) = (record.login(&alice).await, record.login(&bob).await);
    let before = record.head().await;
    for expected in [true, false] {
        let deleted = record.record().delete_user(alice.id, Actor::node(), record.deadline()).await;
        assert_eq!(record.told(deleted.expect("deleting works")).await, expected);
    }
    let above = Generation(alice.generation.0 + 1);
    record.assert_feed(before, &[FeedKind::UserDisabled(alice.id, above)]).await;
    assert!(!record.lives(&gone).await);
    assert!(record.lives(&stays).await);
    assert!(record.find("alice").await.is_none());
    assert!(record.try_login(record.session_of(&alice)).await.is_none());

    let again = record.user("alice").await;
    assert_ne!(again.id, alice.id, "name and e-mail are free for somebody else");
    assert!(!record.lives(&gone).await);
}

pub async fn disabling_ends_sessions_and_enabling_does_not_revive_them(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await;

    let disabled = record.set_enabled(user.id, false).await;
    assert!(!disabled.enabled && disabled.generation > user.generation);
    record.assert_feed(before, &[FeedKind::UserDisabled(user.id, disabled.generation)]).await;
    assert!(!record.lives(&login).await);
    assert!(record.list(&user, 10).await.is_empty());
    assert!(record.try_login(record.session_of(&disabled)).await.is_none());
    assert_eq!(record.find("alice").await.expect("still found").user, disabled);

    let before = record.head().await;
    let enabled = record.set_enabled(user.id, true).await;
    record.assert_feed(before, &[FeedKind::UserEnabled(user.id)]).await;
    assert!(enabled.enabled);
    assert_eq!(enabled.generation, disabled.generation, "enabling raises nothing");
    assert!(!record.lives(&login).await);
    assert!(record.try_login(record.session_of(&user)).await.is_none(), "the old generation");
    assert!(record.lives(&record.login(&enabled).await).await);

    let stranger = UserId::fresh(record.entropy(), record.now());
    let none = record.record().set_enabled(stranger, false, Actor::node(), record.deadline()).await;
    assert!(none.expect("setting works").is_none());
}

pub async fn importing_twice_changes_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let users = vec![
        NewUser {
            groups: Groups::try_new(["staff"]).expect("a plain name"),
            hash: Some(hash("pbkdf2_sha256$600000$salt$tag")),
            ..record.new_user("alice")
        },
        NewUser { email: None, hash: None, enabled: false, ..record.new_user("bob") },
    ];
    let import = async |users: &[NewUser]| {
        let answer =
            record.record().import_users(users.to_vec(), Actor::node(), record.deadline()).await;
        answer.expect("importing works")
    };
    assert_eq!(import(&users).await, [ImportOutcome::Created; 2]);
    let alice = record.find("alice").await.expect("imported");
    let later = [
        NewUser { hash: Some(hash("$2b$12$other")), ..record.new_user("alice") },
        NewUser { email: None, ..record.new_user("bob") },
    ];
    assert_eq!(import(&later).await, [ImportOutcome::Present; 2]);
    let again = record.find("alice").await.expect("still there");
    assert_eq!((again.user, again.hash), (alice.user.clone(), alice.hash.clone()));
    assert_eq!(alice.user.groups.as_slice(), ["staff"]);
    let bob = record.find("bob").await.expect("imported");
    assert!(!bob.user.enabled && bob.hash.is_none());
    assert!(record.try_login(record.session_of(&bob.user)).await.is_none());
    assert!(record.lives(&record.login(&alice.user).await).await);
}

pub async fn imports_tell_each_conflict_in_order(subject: Subject) {
    let record = Fixture::over(subject).await;
    record.user("alice").await;
    let mail = |of: &str| Some(Email::try_new(&format!("{of}@example.com")).expect("an address"));
    let users = vec![
        record.new_user("bob"),
        NewUser { email: mail("other"), ..record.new_user("ALICE") },
        NewUser { email: None, ..record.new_user("alice") },
        NewUser { email: mail("alice"), ..record.new_user("carol") },
        record.new_user("bob"),
        NewUser { email: mail("BOB"), ..record.new_user("dave") },
        NewUser { email: None, ..record.new_user("erin") },
    ];
    let outcomes = record.record().import_users(users, Actor::node(), record.deadline()).await;
    assert_eq!(
        outcomes.expect("importing works"),
        [
            ImportOutcome::Created,
            ImportOutcome::UsernameTaken,
            ImportOutcome::UsernameTaken,
            ImportOutcome::EmailTaken,
            ImportOutcome::Present,
            ImportOutcome::EmailTaken,
            ImportOutcome::Created,
        ]
    );
    for (name, there) in [("alice", true), ("bob", true), ("carol", false), ("dave", false)] {
        assert_eq!(record.find(name).await.is_some(), there, "{name}");
    }
}
