//! Cases about the audit log: every change is told, of whom and by whom, and nothing else.
//!
//! What is not told with its change, in one transaction, would be missing after a crash between the two.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::net::IpAddr;

use nightlatch_core::{
    Actor, AuditAction, AuditEntry, AuditId, AuditPage, AuditQuery, AuditedFailure, AuditedUser,
    FailedTry, Groups, HashKind, ImportOutcome, KeyId, NewRefresh, NodeId, PasswordChange, Rotated,
    Rotation, SessionEnd, StoredKey, Timestamp, TokenHash, Username, Who,
};

use super::Subject;
use super::fixture::{DAY, Fixture, HOUR, hash, home, sweep_before};

/// Somebody at a browser.
fn visitor() -> Actor {
    Actor::user(IpAddr::from([192, 0, 2, 7]), "request-7")
}

fn operator() -> Actor {
    let name = Username::try_new("olga").expect("a good name");
    Actor::user(IpAddr::from([192, 0, 2, 8]), "request-8").as_operator(&name)
}

async fn read(record: &Fixture, query: AuditQuery) -> Vec<AuditEntry> {
    record.record().list_audit(query, record.deadline()).await.expect("reading works")
}

/// All entries after one, oldest first.
async fn after(record: &Fixture, id: AuditId) -> Vec<AuditEntry> {
    read(record, AuditQuery { page: AuditPage::Above(id), limit: 1000, ..AuditQuery::default() })
        .await
}

/// The place of the newest entry.
async fn newest(record: &Fixture) -> AuditId {
    let query = AuditQuery { limit: 1, ..AuditQuery::default() };
    read(record, query).await.first().map_or_else(AuditId::default, |entry| entry.id)
}

/// Asserts that since `id` nothing else was told than this, and gives the entry.
async fn only(record: &Fixture, id: AuditId, action: AuditAction, by: &Actor) -> AuditEntry {
    let mut entries = after(record, id).await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), &entry.by)).collect();
    assert_eq!(told, [(action.as_str(), by)]);
    entries.remove(0)
}

pub async fn a_login_and_the_session_that_it_replaces_are_told(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let first = record.login(&user).await;
    let start = newest(&record).await;
    let mut second = record.session_of(&user);
    second.replaces = Some(first.token);
    let id = second.session.id;
    let answer = record.record().create_session(second, home(), visitor(), record.deadline()).await;
    answer.expect("it works").expect("she may log in");
    let mut told = after(&record, start).await;
    told.sort_by(|one, other| one.action.cmp(&other.action));
    let [login, replaced] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((login.action.as_str(), login.session), ("login", Some(id)));
    let replaced_session = (replaced.action.as_str(), replaced.session);
    assert_eq!(replaced_session, ("session-replaced", Some(first.id)));
    for entry in &told {
        assert_eq!((entry.user, entry.username.as_deref()), (Some(user.id), Some("alice")));
        assert_eq!((entry.at, &entry.by), (record.now(), &visitor()));
    }
}

pub async fn a_refused_login_is_not_told_as_one(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    record.set_enabled(user.id, false).await;
    let start = newest(&record).await;
    assert!(record.try_login(record.session_of(&user)).await.is_none());
    assert_eq!(after(&record, start).await, []);
}

pub async fn the_end_of_a_session_is_told_once_and_by_what_it_was(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let stranger = record.user("bob").await;
    let logins = [record.login(&user).await, record.login(&user).await, record.login(&user).await];
    let ends = [
        (SessionEnd::Token(logins[0].token), AuditAction::Logout),
        (SessionEnd::OneOf(user.id, logins[1].id), AuditAction::SessionRevoked),
        (SessionEnd::One(logins[2].id), AuditAction::SessionRevoked),
    ];
    for ((end, action), login) in ends.into_iter().zip(&logins) {
        let start = newest(&record).await;
        let not_hers = SessionEnd::OneOf(stranger.id, login.id);
        assert_eq!(end_by(&record, not_hers).await, 0);
        assert_eq!(end_by(&record, end).await, 1);
        assert_eq!(end_by(&record, end).await, 0);
        let entry = only(&record, start, action, &visitor()).await;
        assert_eq!((entry.user, entry.session), (Some(user.id), Some(login.id)));
        assert_eq!((entry.username.as_deref(), entry.count), (Some("alice"), None));
    }
}

async fn end_by(record: &Fixture, end: SessionEnd) -> u64 {
    let answer = record.record().end_sessions(end, record.now(), visitor(), record.deadline());
    record.told(answer.await.expect("ending works")).await
}

pub async fn the_end_of_many_sessions_is_one_entry_with_their_number(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let kept = record.login(&user).await;
    record.login(&user).await;
    record.login(&user).await;
    let start = newest(&record).await;
    assert_eq!(end_by(&record, SessionEnd::OthersOf(user.id, kept.id)).await, 2);
    assert_eq!(end_by(&record, SessionEnd::OthersOf(user.id, kept.id)).await, 0);
    let entry = only(&record, start, AuditAction::SessionsRevoked, &visitor()).await;
    assert_eq!((entry.user, entry.session, entry.count), (Some(user.id), None, Some(2)));

    let start = newest(&record).await;
    assert_eq!(end_by(&record, SessionEnd::AllOf(user.id)).await, 1);
    let entry = only(&record, start, AuditAction::SessionsRevoked, &visitor()).await;
    assert_eq!((entry.username.as_deref(), entry.count), (Some("alice"), Some(1)));

    let start = newest(&record).await;
    let everybody = end_by(&record, SessionEnd::Everything).await;
    let entry = only(&record, start, AuditAction::SessionsRevoked, &visitor()).await;
    assert_eq!((entry.user, entry.username, entry.count), (None, None, Some(everybody)));
}

pub async fn a_refresh_token_that_is_used_twice_is_told(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let mut new = record.session_of(&user);
    let id = new.session.id;
    new.token = TokenHash::of_bearer(id);
    let token = |step: u8| TokenHash::from_bytes([step; 32]);
    new.refresh = Some(NewRefresh { token: token(0), expires_at: record.now().after(DAY) });
    record.login_with(new).await;
    let key: KeyId = [1, 2, 3, 4];
    let rotation = |step: u8| Rotation {
        session: id,
        presented: token(step),
        step: u32::from(step),
        before: [0; 16],
        is_proven: true,
        successor: token(step + 1),
        key,
        keys: vec![key],
        now: record.now().after(HOUR / 60),
        expires_at: record.now().after(DAY),
        idle_since: None,
        grace: std::time::Duration::ZERO,
    };
    let start = newest(&record).await;
    for (step, is_reuse) in [(0, false), (1, false), (0, true)] {
        let answer = record.record().rotate(rotation(step), visitor(), record.deadline()).await;
        let rotated = record.told(answer.expect("exchanging works")).await;
        assert_eq!(matches!(rotated, Rotated::Reused), is_reuse, "{step}: {rotated:?}");
    }
    let entry = only(&record, start, AuditAction::RefreshTokenReused, &visitor()).await;
    assert_eq!((entry.user, entry.session), (Some(user.id), Some(id)));
}

pub async fn what_operators_do_with_users_is_told(subject: Subject) {
    let record = Fixture::over(subject).await;
    let port = record.record();
    let deadline = || record.deadline();
    let start = newest(&record).await;
    let new = record.new_user("alice");
    let id = new.id;
    port.create_user(new, operator(), deadline()).await.expect("creating works");
    let again = record.new_user("alice");
    port.create_user(again, operator(), deadline()).await.expect("it is taken");
    let groups = Groups::try_new(["staff", "operators"]).expect("good names");
    port.set_groups(id, groups, operator(), deadline()).await.expect("it works");
    port.verify_email(id, operator(), deadline()).await.expect("it works");
    let change = PasswordChange {
        user_id: id,
        verified_at: None,
        hash: hash("$2b$12$second"),
        next_session: None,
    };
    port.change_password(change, operator(), deadline()).await.expect("it works");
    port.set_enabled(id, false, operator(), deadline()).await.expect("it works");
    port.set_enabled(id, true, operator(), deadline()).await.expect("it works");
    port.delete_user(id, operator(), deadline()).await.expect("it works");
    port.delete_user(id, operator(), deadline()).await.expect("it is gone");
    port.set_enabled(id, true, operator(), deadline()).await.expect("it is gone");

    let told = after(&record, start).await;
    let actions: Vec<&str> = told.iter().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "user-created",
        "groups-changed",
        "email-verified",
        "password-changed",
        "user-disabled",
        "user-enabled",
        "user-deleted",
    ];
    assert_eq!(actions, expected);
    for entry in &told {
        assert_eq!((entry.user, entry.username.as_deref()), (Some(id), Some("alice")));
        assert_eq!(entry.by, operator());
    }
    assert_eq!(told[1].detail.as_deref(), Some("operators,staff"));
}

pub async fn of_imported_users_those_are_told_who_are_new(subject: Subject) {
    let record = Fixture::over(subject).await;
    record.user("alice").await;
    let start = newest(&record).await;
    let by = Actor::command("root");
    let mut old = record.new_user("carol");
    old.created_at = record.now().before(1000 * DAY);
    let users = vec![record.new_user("alice"), record.new_user("bob"), old];
    let ids = [users[1].id, users[2].id];
    let answer = record.record().import_users(users, by.clone(), record.deadline()).await;
    let created = ImportOutcome::Created;
    assert_eq!(answer.expect("it works"), [ImportOutcome::Present, created, created]);
    let mut told = after(&record, start).await;
    told.sort_by_key(|entry| entry.username.clone());
    let who: Vec<_> = told.iter().map(|entry| (entry.user, entry.action.as_str())).collect();
    assert_eq!(who, [(Some(ids[0]), "user-created"), (Some(ids[1]), "user-created")]);
    assert!(told.iter().all(|entry| entry.by == by));
    assert!(told[1].at > record.now().before(DAY), "of when she was imported");
}

pub async fn a_new_signing_key_is_told(subject: Subject) {
    let record = Fixture::over(subject).await;
    let start = newest(&record).await;
    let key =
        StoredKey { number: 1, sealed: vec![1], stored_at: record.now(), signs_from: record.now() };
    for _ in 0..2 {
        let by = Actor::command("root");
        record.record().add_key(key.clone(), by, record.deadline()).await.expect("it works");
    }
    let entry = only(&record, start, AuditAction::SigningKeyAdded, &Actor::command("root")).await;
    assert_eq!((entry.detail.as_deref(), entry.user), (Some("key 1"), None));
}

pub async fn failed_tries_are_told_with_what_is_known_of_them(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let start = newest(&record).await;
    let known = FailedTry { user: Some((user.id, user.username.clone())), by: visitor() };
    let audited = vec![
        AuditedFailure { at: record.now(), tried: known, count: 1 },
        AuditedFailure {
            at: record.now(),
            tried: FailedTry { user: None, by: Actor::node() },
            count: 12,
        },
    ];
    let node = NodeId::fresh(record.entropy(), record.now());
    let answer =
        record.record().append_failures(node, Vec::new(), audited, record.deadline()).await;
    answer.expect("appending works");
    let mut told = after(&record, start).await;
    told.sort_by_key(|entry| entry.count);
    let [one, many] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((one.action.as_str(), many.action.as_str()), ("login-failed", "login-failed"));
    assert_eq!((one.user, one.username.as_deref()), (Some(user.id), Some("alice")));
    assert_eq!((one.at, one.count, &one.by), (record.now(), None, &visitor()));
    assert_eq!((many.user, many.count, &many.by.who), (None, Some(12), &Who::Node));
}

pub async fn the_audit_log_is_read_in_pages_and_by_what_is_asked_for(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let start = newest(&record).await;
    for user in [&alice, &bob, &alice, &bob] {
        record.login(user).await;
    }
    record.set_enabled(alice.id, false).await;
    let all = after(&record, start).await;
    assert_eq!(all.len(), 5);

    let page = |page, limit| AuditQuery { page, limit, ..AuditQuery::default() };
    let ids = |entries: &[AuditEntry]| entries.iter().map(|it| it.id).collect::<Vec<_>>();
    let newest_two = read(&record, page(AuditPage::Newest, 2)).await;
    assert_eq!(ids(&newest_two), [all[4].id, all[3].id]);
    let next = read(&record, page(AuditPage::Below(all[3].id), 2)).await;
    assert_eq!(ids(&next), [all[2].id, all[1].id]);
    let up = read(&record, page(AuditPage::Above(all[1].id), 2)).await;
    assert_eq!(ids(&up), [all[2].id, all[3].id]);

    let whole = |user, actions| AuditQuery {
        user,
        actions,
        page: AuditPage::Above(start),
        limit: 100,
        ..AuditQuery::default()
    };
    let of_id = read(&record, whole(Some(AuditedUser::Id(alice.id)), Vec::new())).await;
    assert_eq!(ids(&of_id), [all[0].id, all[2].id, all[4].id]);
    let of_name = AuditedUser::Name("bob".to_owned());
    let of_name = read(&record, whole(Some(of_name), Vec::new())).await;
    assert_eq!(ids(&of_name), [all[1].id, all[3].id]);
    let disabled = vec![AuditAction::UserDisabled, AuditAction::UserEnabled];
    assert_eq!(ids(&read(&record, whole(None, disabled)).await), [all[4].id]);
    let within = |since: Timestamp, until: Timestamp| AuditQuery {
        since: Some(since),
        until: Some(until),
        ..whole(None, vec![AuditAction::Login])
    };
    let now = record.now();
    assert_eq!(read(&record, within(now, now.after(HOUR))).await.len(), 4);
    assert_eq!(read(&record, within(now.before(HOUR), now)).await, []);
}

pub async fn a_sweep_removes_old_entries_and_never_gives_a_place_again(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    for _ in 0..4 {
        record.login(&user).await;
    }
    let last = newest(&record).await;
    let young = sweep_before(record.now().before(HOUR));
    let swept = record.record().sweep(young, 100, record.deadline()).await;
    assert_eq!(swept.expect("sweeping works").audit_rows, 0);
    let old = sweep_before(record.now().after(HOUR));
    let swept = record.record().sweep(old, 3, record.deadline()).await;
    assert_eq!(swept.expect("sweeping works").audit_rows, 3);
    record.record().sweep(old, 100, record.deadline()).await.expect("sweeping works");
    record.login(&user).await;
    assert!(newest(&record).await > last);
}

pub async fn kinds_of_hashes_are_not_told(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let start = newest(&record).await;
    let (old, new) = (hash("$2b$12$first"), hash("$argon2id$second"));
    let upgraded = record.record().upgrade_hash(user.id, old, new, record.deadline()).await;
    assert!(upgraded.expect("it works"));
    let kinds: Vec<HashKind> =
        record.record().list_hash_kinds(record.deadline()).await.expect("it works");
    assert_eq!(kinds.len(), 1);
    assert_eq!(after(&record, start).await, []);
}
