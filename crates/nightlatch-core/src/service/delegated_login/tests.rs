//! Who becomes whose mirror, case by case.
//!
//! Tables, since each line is an account that somebody else could get.

use super::*;
use crate::{Email, Generation, Groups, Subject, Timestamp, UserId};

fn email(text: &str) -> Email {
    Email::try_new(text).expect("an address")
}

fn name(text: &str) -> Username {
    Username::try_existing(text).expect("a name")
}

fn person() -> Person {
    Person {
        subject: Subject::try_new("s-1").expect("an id"),
        username: Some(name("alice")),
        email: Some(email("alice@example.com")),
        email_verified: Some(true),
        name: DisplayName::try_new("Alice A.").ok(),
        groups: Groups::try_new(["staff"]).ok(),
    }
}

/// Somebody in the record.
fn found(number: u128, username: &str, subject: Option<&str>, has_password: bool) -> MirrorFound {
    MirrorFound {
        user: User {
            id: UserId::from_uuid(uuid::Uuid::from_u128(number)),
            username: name(username),
            email: Some(email(&format!("{username}@example.com"))),
            email_verified: true,
            name: "Alice A.".to_owned(),
            groups: Groups::try_new(["staff"]).expect("good names"),
            generation: Generation(1),
            enabled: true,
            created_at: Timestamp::EPOCH,
        },
        subject: subject.map(|text| Subject::try_new(text).expect("an id")),
        has_password,
    }
}

fn updated(found: &[MirrorFound], person: &Person) -> MirrorUpdate {
    let username = person.username.clone().unwrap_or_else(|| name("typed"));
    match step(person, &username, found) {
        Step::Update(update) => update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_person_is_known_by_subject_and_never_by_a_name_that_has_a_password() {
    let step = |found: &[MirrorFound]| step(&person(), &name("alice"), found);
    assert!(matches!(step(&[]), Step::Create));
    assert!(matches!(step(&[found(1, "alice", Some("s-1"), false)]), Step::Keep(_)));
    for (somebody, what) in [
        (found(1, "alice", None, true), "a local user"),
        (found(1, "alice", Some("s-2"), false), "somebody else there"),
    ] {
        assert!(matches!(step(&[somebody]), Step::NameTaken), "{what}");
    }
    let mut local = found(1, "alice", Some("s-1"), false);
    local.has_password = true;
    assert!(matches!(step(&[local]), Step::NameTaken), "a password was set meanwhile");
    // Added by an operator beforehand.
    let added = found(1, "alice", None, false);
    let update = updated(&[added], &person());
    assert_eq!(update.subject, person().subject);
    // Whoever has the e-mail alone is another one.
    let mut other = found(2, "bob", None, true);
    other.user.email = Some(email("ALICE@example.com"));
    assert!(matches!(step(&[other]), Step::Create));
}

#[test]
fn a_renamed_person_is_the_same_and_takes_nothing_from_others() {
    let mirror = || found(1, "alice", Some("s-1"), false);
    let renamed = Person {
        username: Some(name("Alicia")),
        email: Some(email("alicia@example.com")),
        email_verified: None,
        ..person()
    };
    let update = updated(&[mirror()], &renamed);
    assert_eq!((update.id, update.username.as_str()), (mirror().user.id, "Alicia"));
    assert_eq!(update.email, renamed.email);
    assert!(!update.email_verified, "nobody has said that the new one is hers");

    let theirs = found(2, "alicia", None, true);
    let moved = Person { name: DisplayName::try_new("A.").ok(), ..renamed };
    let update = updated(&[mirror(), theirs], &moved);
    assert_eq!(update.username.as_str(), "alice");
    assert_eq!(update.email, mirror().user.email);
    assert!(update.email_verified, "the old one still is");
    assert_eq!(update.name, "A.");
}

#[test]
fn what_is_not_said_stays_as_it_is() {
    let silent = Person {
        username: None,
        email: None,
        email_verified: None,
        name: None,
        groups: None,
        ..person()
    };
    let mirror = found(1, "alice", Some("s-1"), false);
    let kept = step(&silent, &name("typed"), std::slice::from_ref(&mirror));
    assert!(matches!(kept, Step::Keep(user) if user == mirror.user));
    let none = Person { groups: Groups::try_new([""; 0]).ok(), ..silent };
    assert!(updated(&[mirror], &none).groups.as_slice().is_empty());
}

#[test]
fn who_has_no_name_gets_one_that_stays() {
    let silent = Person { username: None, ..person() };
    assert_eq!(username_for(&person(), "typed").as_str(), "alice");
    assert_eq!(username_for(&silent, "typed").as_str(), "typed");
    let made = username_for(&silent, "alice@example.com");
    assert_eq!(made, username_for(&silent, "not a name"));
    assert!(made.as_str().starts_with("user-") && made.as_str().len() == 21, "{made:?}");
}
