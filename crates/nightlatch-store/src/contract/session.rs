//! Cases about logins and the sessions that they create.
//!
//! An acknowledged login is the first promise of all: it is there, whole, and nobody else's.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::net::IpAddr;
use std::time::Duration;

use nightlatch_core::{
    Actor, Client, FeedKind, Generation, NewSession, Session, SessionEnd, SessionId, TokenHash,
};

use super::Subject;
use super::fixture::{DAY, Fixture, HOUR, elsewhere, home};

pub async fn a_login_is_found_by_its_token(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let mut new = record.session_of(&user);
    new.session.remember = true;
    let asked = new.session.clone();
    let login = record.login_with(new).await;
    let found = record.found(login.token).await.expect("it was acknowledged");
    assert_eq!(found, login.found);
    assert_eq!((found.session, found.user), (asked, user));
    let mut other = *login.token.as_bytes();
    other[31] ^= 1;
    assert!(record.found(TokenHash::from_bytes(other)).await.is_none());
}

pub async fn a_login_of_another_generation_is_refused_and_replaces_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let earlier = record.login_with(record.session_of(&user)).await;
    let before = record.head().await;
    for off_by in [-1, 1] {
        let refused = NewSession {
            generation: Generation(user.generation.0 + off_by),
            replaces: Some(earlier.token),
            ..record.session_of(&user)
        };
        let token = refused.token;
        let answer = record
            .record()
            .create_session(refused, elsewhere(), Actor::node(), record.deadline())
            .await;
        assert!(answer.expect("asking works").is_none());
        assert!(record.found(token).await.is_none());
    }
    record.assert_feed(before, &[]).await;
    assert!(record.lives(&earlier).await, "it ends only with a login that succeeds");
    let known = record.find_at("alice", elsewhere(), record.now()).await.expect("there");
    assert!(!known.prefix_is_known, "a login that is refused makes no prefix known");
}

pub async fn a_login_ends_the_session_that_it_replaces(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    let (hers, stays) = (record.login(&alice).await, record.login(&alice).await);
    let before = record.head().await;
    // A browser may come with somebody else's session: two people share a machine.
    let new = NewSession { replaces: Some(hers.token), ..record.session_of(&bob) };
    let his = record.login_with(new).await;
    record.assert_feed(before, &[FeedKind::Session(hers.id)]).await;
    assert!(!record.lives(&hers).await);
    assert!(record.lives(&his).await && record.lives(&stays).await);
    let as_of = his.found.as_of.position;
    assert!(as_of >= before.newest.position && as_of <= record.head().await.newest.position);

    let unknown =
        NewSession { replaces: Some(TokenHash::from_bytes([7; 32])), ..record.session_of(&alice) };
    assert!(record.lives(&record.login_with(unknown).await).await);
    let ended = NewSession { replaces: Some(hers.token), ..record.session_of(&alice) };
    assert!(record.lives(&record.login_with(ended).await).await);
    assert!(!record.lives(&hers).await);
}

pub async fn the_prefix_of_a_login_stays_known_for_thirty_days(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    record.user("bob").await;
    record.login(&user).await;
    for (name, prefix, days, known) in [
        ("alice", home(), 0, true),
        ("alice", home(), 29, true),
        ("alice", home(), 31, false),
        ("alice", elsewhere(), 0, false),
        ("bob", home(), 0, false),
    ] {
        let now = record.now().after(days * DAY);
        let found = record.find_at(name, prefix, now).await.expect(name);
        assert_eq!(found.prefix_is_known, known, "{name} after {days} days");
    }
    record.login(&user).await;
    let by_id =
        record.record().find_credentials_by_id(user.id, home(), record.now(), record.deadline());
    let found = by_id.await.expect("finding works").expect("the user is there");
    assert!(found.prefix_is_known, "a prefix may be noted twice");
}

pub async fn sessions_are_listed_newest_first(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("bob").await);
    record.login(&bob).await;
    let mut newest_first = Vec::new();
    for minutes_ago in [3_u32, 1, 5, 2, 4] {
        let mut new = record.session_of(&alice);
        new.session.created_at = record.now().before(minutes_ago * Duration::from_mins(1));
        newest_first.push(record.login_with(new).await.found.session);
    }
    newest_first.sort_by_key(|session| std::cmp::Reverse(session.created_at));
    let mut expired = record.session_of(&alice);
    expired.session.created_at = record.now().before(DAY);
    expired.session.expires_at = record.now().before(HOUR);
    record.login_with(expired).await;

    assert_eq!(record.list(&alice, 10).await, newest_first);
    assert_eq!(record.list(&alice, 2).await, newest_first[..2]);
    assert_eq!(record.end(SessionEnd::One(newest_first[1].id)).await, 1);
    newest_first.remove(1);
    assert_eq!(record.list(&alice, 10).await, newest_first);
}

pub async fn everybodys_sessions_are_listed_in_pages(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (alice, bob) = (record.user("alice").await, record.user("Bob").await);
    let (gone, past) = (record.user("gone").await, record.now().before(HOUR));
    let mut expected = Vec::new();
    for (user, minutes_ago) in [(&alice, 3_u32), (&bob, 1), (&alice, 5), (&bob, 2), (&alice, 0)] {
        let created_at = record.now().before(minutes_ago * Duration::from_mins(1));
        let mut new = record.session_of(user);
        new.session.id = SessionId::fresh(record.entropy(), created_at);
        new.session.created_at = created_at;
        let session = record.login_with(new).await.found.session;
        expected.push((session, user.username.clone()));
    }
    expected.sort_by_key(|(session, _)| std::cmp::Reverse(session.created_at));
    record.login(&gone).await;
    record.set_enabled(gone.id, false).await;
    let mut expired = record.session_of(&bob);
    expired.session.expires_at = past;
    record.login_with(expired).await;
    let ended = record.login(&alice).await;
    assert_eq!(record.end(SessionEnd::One(ended.id)).await, 1);

    for limit in [1, 2, 5, 100] {
        let mut listed = Vec::new();
        loop {
            let below = listed.last().map(|(session, _): &(Session, _)| session.id);
            let page =
                record.record().list_all_sessions(below, record.now(), limit, record.deadline());
            let page = page.await.expect("listing works");
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected, "{limit} at once");
    }
}

pub async fn a_touch_moves_only_forward(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (one, other) = (record.login(&user).await, record.login(&user).await);
    let at = |minutes: u32| record.now().after(minutes * Duration::from_mins(1));
    let stranger = record.session_of(&user).session.id;
    record.touch(vec![(one.id, at(5)), (stranger, at(5))]).await;
    record.touch(vec![(one.id, at(3))]).await;
    record.touch(vec![(other.id, at(2)), (other.id, at(4)), (other.id, at(1))]).await;
    for (login, minutes) in [(&one, 5), (&other, 4)] {
        let found = record.found(login.token).await.expect("it lives");
        let expected = Session { last_seen_at: at(minutes), ..login.found.session.clone() };
        assert_eq!(found.session, expected);
    }
}

pub async fn a_touch_never_revives(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let ended = record.login(&user).await;
    let mut past = record.session_of(&user);
    past.session.created_at = record.now().before(DAY);
    past.session.last_seen_at = past.session.created_at;
    past.session.expires_at = record.now().before(HOUR);
    let expired = record.login_with(past).await;

    record.end(SessionEnd::One(ended.id)).await;
    record.touch(vec![(ended.id, record.now()), (expired.id, record.now())]).await;
    assert!(!record.lives(&ended).await);
    let found = record.found(expired.token).await.expect("expiry is the caller's to judge");
    assert_eq!(found.session, expired.found.session, "an expired session is not touched");
    assert!(record.list(&user, 10).await.is_empty());
}

pub async fn an_address_comes_back_as_it_was(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let agents = ["", "Ünïcode on 'Linux'", &"x".repeat(Client::USER_AGENT_BYTES_MAX)];
    let addresses = ["192.0.2.255", "2001:db8::ffff:1", "::ffff:192.0.2.7"];
    for (address, agent) in addresses.into_iter().zip(agents) {
        let mut new = record.session_of(&user);
        let address: IpAddr = address.parse().expect("an address");
        new.session.client = Client { address, user_agent: agent.to_owned() };
        let login = record.login_with(new.clone()).await;
        let found = record.found(login.token).await.expect("it lives");
        assert_eq!(found.session, new.session);
    }
}
