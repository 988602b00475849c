//! What the cases of the suite have in common: users, logins and questions to the record.
//!
//! A case then reads as the promise that it checks. Every call here must succeed: the suite runs
//! against records that are well.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AddressPrefix, BoxFuture, Client, CreateUser, Credentials, Deadline, Email, Entropy,
    FeedKind, FeedNews, FeedRow, FoundSession, Groups, Head, LoginName, NewSession, NewUser,
    PasswordHash, Position, Record, Session, SessionEnd, SessionId, SweepBefore, Timestamp,
    TokenHash, User, UserId, Username, Written,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Shift, Subject};

/// Long enough for a slow server on a busy machine, short enough for a hang to be seen.
pub(super) const CALL_SPAN: Duration = Duration::from_secs(5);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Where logins come from unless a case says otherwise.
pub(super) fn home() -> AddressPrefix {
    AddressPrefix::of(IpAddr::from([192, 0, 2, 1]))
}

pub(super) fn elsewhere() -> AddressPrefix {
    AddressPrefix::of(IpAddr::from([198, 51, 100, 1]))
}

pub(super) fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

/// What everything is swept before: the audit log, too.
pub(super) fn sweep_before(time: Timestamp) -> SweepBefore {
    SweepBefore { ended: time, audited: time }
}

/// A record under test.
pub(super) struct Fixture {
    subject: Subject,
    started_at: Timestamp,
}

impl Fixture {
    pub(super) async fn over(subject: Subject) -> Self {
        let fixture = Self::unmigrated(subject);
        fixture.record().migrate(fixture.deadline()).await.expect("migrating works");
        fixture
    }

    pub(super) fn unmigrated(subject: Subject) -> Self {
        let started_at = subject.clock.wall();
        Self { subject, started_at }
    }

    pub(super) fn record(&self) -> &dyn Record {
        &*self.subject.record
    }

    pub(super) fn shared(&self) -> Arc<dyn Record> {
        Arc::clone(&self.subject.record)
    }

    pub(super) async fn second_node(&self) -> Arc<dyn Record> {
        match &self.subject.second_node {
            Some(open) => open().await,
            None => self.subject.record.clone(),
        }
    }

    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.subject.entropy
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::within(&*self.subject.clock, CALL_SPAN)
    }

    /// When the case began: one time for all rows, so that only what a case sets differs.
    pub(super) fn now(&self) -> Timestamp {
        self.started_at
    }

    /// The record's clock, give or take.
    pub(super) fn wall(&self) -> Timestamp {
        self.subject.clock.wall()
    }

    /// Lets time pass for heartbeats; `false` if this record's test gives no way to.
    pub(super) async fn make_heartbeats_older(&self, by: Duration) -> bool {
        self.shift_heartbeats(Shift::Older(by)).await
    }

    /// Sets the record's clock back, as heartbeats see it.
    pub(super) async fn make_heartbeats_younger(&self, by: Duration) -> bool {
        self.shift_heartbeats(Shift::Younger(by)).await
    }

    async fn shift_heartbeats(&self, shift: Shift) -> bool {
        let Some(heartbeats) = &self.subject.heartbeats else { return false };
        heartbeats(shift).await;
        true
    }

    pub(super) fn new_user(&self, name: &str) -> NewUser {
        NewUser {
            id: UserId::fresh(self.entropy(), self.now()),
            username: Username::try_new(name).expect("a good name"),
            email: Some(Email::try_new(&format!("{name}@example.com")).expect("a good address")),
            email_verified: false,
            name: name.to_owned(),
            groups: Groups::default(),
            hash: Some(hash("$2b$12$first")),
            subject: None,
            enabled: true,
            created_at: self.now(),
        }
    }

    pub(super) async fn create(&self, user: NewUser) -> CreateUser {
        self.record()
            .create_user(user, Actor::node(), self.deadline())
            .await
            .expect("creating works")
    }

    pub(super) async fn user(&self, name: &str) -> User {
        match self.create(self.new_user(name)).await {
            CreateUser::Created(user) => user,
            taken @ (CreateUser::UsernameTaken
            | CreateUser::EmailTaken
            | CreateUser::SubjectTaken) => {
                panic!("{name}: {taken:?}")
            }
        }
    }

    pub(super) async fn set_enabled(&self, id: UserId, enabled: bool) -> User {
        let answer = self.record().set_enabled(id, enabled, Actor::node(), self.deadline()).await;
        self.told(answer.expect("setting works").expect("the user is there")).await
    }

    pub(super) async fn find(&self, typed: &str) -> Option<Credentials> {
        self.find_at(typed, home(), self.now()).await
    }

    pub(super) async fn find_at(
        &self,
        typed: &str,
        prefix: AddressPrefix,
        now: Timestamp,
    ) -> Option<Credentials> {
        let name = LoginName::fold(typed);
        let answer = self.record().find_credentials(&name, prefix, now, self.deadline()).await;
        answer.expect("finding a user works")
    }

    /// A session of a user at the generation that `user` was read with.
    pub(super) fn session_of(&self, user: &User) -> NewSession {
        let mut token = [0; 32];
        self.entropy().fill(&mut token);
        NewSession {
            session: Session {
                id: SessionId::fresh(self.entropy(), self.now()),
                user_id: user.id,
                created_at: self.now(),
                last_seen_at: self.now(),
                expires_at: self.now().after(30 * DAY),
                remember: false,
                client: Client {
                    address: IpAddr::from([192, 0, 2, 1]),
                    user_agent: "Firefox on Linux".to_owned(),
                },
            },
            token: TokenHash::from_bytes(token),
            generation: user.generation,
            replaces: None,
            refresh: None,
        }
    }

    pub(super) async fn try_login(&self, session: NewSession) -> Option<FoundSession> {
        let answer =
            self.record().create_session(session, home(), Actor::node(), self.deadline()).await;
        match answer.expect("creating a session works") {
            Some(written) => Some(self.told(written).await),
            None => None,
        }
    }

    /// Logs in with a session that a case has adjusted.
    pub(super) async fn login_with(&self, session: NewSession) -> Login {
        let token = session.token;
        let found = self.try_login(session).await.expect("the user may log in");
        Login { id: found.session.id, token, found }
    }

    pub(super) async fn login(&self, user: &User) -> Login {
        self.login_with(self.session_of(user)).await
    }

    /// What the record itself says, whatever copies stand in front of it: a copy may well be of an
    /// earlier position, or not know of a later use.
    pub(super) async fn found(&self, token: TokenHash) -> Option<FoundSession> {
        let answer = self.record().reread_session(token, self.deadline()).await;
        answer.expect("finding a session works").map(Arc::unwrap_or_clone)
    }

    pub(super) async fn lives(&self, login: &Login) -> bool {
        let answer = self.record().find_session(login.token, self.deadline()).await;
        answer.expect("finding a session works").is_some()
    }

    pub(super) async fn end(&self, which: SessionEnd) -> u64 {
        let answer =
            self.record().end_sessions(which, self.now(), Actor::node(), self.deadline()).await;
        self.told(answer.expect("ending sessions works")).await
    }

    pub(super) async fn touch(&self, seen: Vec<(SessionId, Timestamp)>) {
        self.record().touch_sessions(seen, self.deadline()).await.expect("touching works");
    }

    pub(super) async fn list(&self, user: &User, limit: u32) -> Vec<Session> {
        let answer = self.record().list_sessions(user.id, self.now(), limit, self.deadline()).await;
        answer.expect("listing sessions works")
    }

    pub(super) async fn head(&self) -> Head {
        self.poll(None, 0).await.head
    }

    pub(super) async fn poll(&self, after: Option<Position>, limit: u32) -> FeedNews {
        let news = self.record().poll_feed(after, limit, self.deadline()).await;
        let news = news.expect("polling works");
        assert!(news.rows.len() <= limit as usize);
        news
    }

    /// What a change came to, once it is seen that its rows are in the feed as it says.
    pub(super) async fn told<T>(&self, written: Written<T>) -> T {
        self.assert_told(&written.rows).await;
        written.value
    }

    /// Asserts that these rows are in the feed, in this order and with none in between.
    pub(super) async fn assert_told(&self, rows: &[FeedRow]) {
        let Some(first) = rows.first() else { return };
        let below = Position(first.at.position.0 - 1);
        let count = u32::try_from(rows.len()).expect("few rows");
        assert_eq!(self.poll(Some(below), count).await.rows, rows);
    }

    /// The feed after a position. Checks on the way that positions have no gaps, that no row id
    /// comes twice, and that the record tells what there is.
    pub(super) async fn feed_after(&self, position: Position) -> Vec<FeedKind> {
        let rows = self.poll(Some(position), u32::MAX).await.rows;
        assert_whole(&rows);
        if let Some(read) = &self.subject.feed {
            let all = read().await;
            assert_whole(&all);
            // Others may write in between.
            let stored = all.into_iter().filter(|row| row.at.position > position);
            assert_eq!(rows, stored.take(rows.len()).collect::<Vec<_>>());
        }
        rows.into_iter().map(|row| row.kind).collect()
    }

    /// Asserts what the feed says since `before`.
    pub(super) async fn assert_feed(&self, before: Head, expected: &[FeedKind]) {
        let moved = self.head().await.newest.position.0 - before.newest.position.0;
        assert_eq!(moved, i64::try_from(expected.len()).expect("few rows"), "rows {expected:?}");
        assert_eq!(self.feed_after(before.newest.position).await, expected);
    }
}

fn assert_whole(rows: &[FeedRow]) {
    for pair in rows.windows(2) {
        let [earlier, later] = pair else { continue };
        let (earlier, later) = (earlier.at.position.0, later.at.position.0);
        assert_eq!(later, earlier + 1, "positions grow by one");
    }
    let mut ids: Vec<i64> = rows.iter().map(|row| row.at.row_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "row ids are random");
}

/// A login that was acknowledged.
pub(super) struct Login {
    pub(super) id: SessionId,
    pub(super) token: TokenHash,
    pub(super) found: FoundSession,
}

/// Runs `act` for 0 to `callers` at the same time; answers in that order.
pub(super) async fn all_at_once<T: Send + 'static>(
    record: &Arc<Fixture>,
    callers: usize,
    act: impl Fn(Arc<Fixture>, usize) -> BoxFuture<'static, T>,
) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(callers));
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let acting = act(record.clone(), caller);
        let barrier = barrier.clone();
        tasks.spawn(async move {
            barrier.wait().await;
            (caller, acting.await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable_by_key(|(caller, _)| *caller);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
