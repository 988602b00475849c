//! What a failing server makes of each call: its class, and whether a write may have happened.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, Clock, FailureClass, FeedStore, Outcome, SessionEnd, SessionStore, StoreError,
    StoreErrorKind, SystemClock, UserStore,
};
use nightlatch_testkit::postgres::PostgresServer;

use crate::support::{
    Fixture, WAITING, create_user, end, find, login, now, open, options, prefix, session_of, soon,
    until_it_answers, within,
};

fn told(error: &StoreError) -> (FailureClass, Outcome) {
    (error.class(), error.outcome())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_no_more_than_the_deadline() {
    let fixture = Fixture::alone().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    fixture.server.pause();
    let started = SystemClock.boottime();
    let short = || within(Duration::from_millis(200));
    let read = fixture.record.find_session(token, short()).await.expect_err("nobody answers");
    let write =
        fixture.record.end_sessions(SessionEnd::One(id), now(), Actor::node(), short()).await;
    let write = write.expect_err("nobody answers");
    // The connection was taken out of the pool, and none can be made: nothing was sent.
    let second =
        fixture.record.end_sessions(SessionEnd::One(id), now(), Actor::node(), short()).await;
    let second = second.expect_err("nobody answers");
    let took = SystemClock.boottime().saturating_sub(started);
    fixture.server.resume();
    for error in [&read, &write, &second] {
        assert_eq!(error.kind(), StoreErrorKind::Deadline);
        assert_eq!(error.class(), FailureClass::Timeout);
    }
    assert_eq!(read.outcome(), Outcome::NotApplied);
    assert_eq!(second.outcome(), Outcome::NotApplied);
    assert!(took < Duration::from_secs(3), "{took:?} for three deadlines of 200 ms");
    assert!(end(&fixture.record, SessionEnd::One(id)).await.is_ok());
    assert_eq!(find(&fixture.record, token).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_sent_to_a_hanging_server_may_have_happened() {
    let fixture = Fixture::alone().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    // Its statement is prepared: the next one is sent in one go.
    end(&fixture.record, SessionEnd::One(id)).await.expect("the server is well");
    let (id, other) = login(&fixture.record, &user).await;
    fixture.server.pause();
    let deadline = within(Duration::from_millis(200));
    let ended =
        fixture.record.end_sessions(SessionEnd::One(id), now(), Actor::node(), deadline).await;
    fixture.server.resume();
    let error = ended.expect_err("nobody answers");
    assert_eq!(told(&error), (FailureClass::Timeout, Outcome::Unknown));
    assert_eq!(find(&fixture.record, token).await, None);
    end(&fixture.record, SessionEnd::One(id)).await.expect("the server is well");
    assert_eq!(find(&fixture.record, other).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_callers_than_can_wait_are_refused_at_once() {
    let fixture = Fixture::shared().await;
    let mut few = fixture.options();
    (few.connections_max, few.waiting_max) = (1, 1);
    let node = open(&few);
    let user = create_user(&node, "alice").await;
    let (_, token) = login(&node, &user).await;
    let holder = fixture.client().await;
    holder.run("BEGIN; LOCK TABLE nightlatch.feed_head").await;
    let finding = || node.find_session(token, soon());
    let (first, second, third, ()) = tokio::join!(finding(), finding(), finding(), async {
        holder.until(WAITING, 1).await;
        holder.run("COMMIT").await;
    });
    assert!(first.is_ok() && second.is_ok());
    let error = third.expect_err("there is no place left");
    assert_eq!(error.kind(), StoreErrorKind::Overloaded);
    assert_eq!(told(&error), (FailureClass::Busy, Outcome::NotApplied));
}

/// Somebody hung up: the connection comes back once its statement has ended, and in step.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_neither_costs_a_connection_nor_shifts_an_answer() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let mut few = fixture.options();
    few.connections_max = 1;
    let node = open(&few);
    let (_, token) = login(&node, &user).await;
    let found = find(&node, token).await;
    let backend = "SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'nightlatch' AND query LIKE '%token_hash%' ORDER BY backend_start
        DESC LIMIT 1";
    let holder = fixture.client().await;
    let before = holder.number(backend).await;
    holder.run("BEGIN; LOCK TABLE nightlatch.feed_head").await;
    {
        let leaving = node.find_session(token, soon());
        tokio::pin!(leaving);
        tokio::select! {
            biased;
            _ = &mut leaving => panic!("the table is locked"),
            () = holder.until(WAITING, 1) => {}
        }
    }
    holder.run("COMMIT").await;
    assert_eq!(find(&node, token).await, found);
    assert_eq!(holder.number(backend).await, before, "it is the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_when_their_connections_are_killed() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, token) = login(&fixture.record, &user).await;
    let admin = fixture.client().await;
    for _ in 0..10 {
        admin
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'nightlatch'",
            )
            .await;
        assert!(find(&fixture.record, token).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_connection_is_killed_may_have_happened() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, _) = login(&fixture.record, &user).await;
    let holder = fixture.client().await;
    holder.run("BEGIN; SELECT FROM nightlatch.feed_head FOR UPDATE").await;
    let (ended, ()) = tokio::join!(end(&fixture.record, SessionEnd::One(id)), async {
        holder.until(WAITING, 1).await;
        holder
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
    });
    let error = ended.expect_err("the connection is gone");
    assert_eq!(told(&error), (FailureClass::Closed, Outcome::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_killed_server() {
    let fixture = Fixture::alone().await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, stays) = login(&fixture.record, &user).await;
    let (id, ends) = login(&fixture.record, &user).await;
    end(&fixture.record, SessionEnd::One(id)).await.expect("the server is well");
    fixture.server.kill_9();
    let read = fixture.record.find_session(stays, soon()).await.expect_err("nobody is there");
    assert_eq!(told(&read), (FailureClass::Unreachable, Outcome::NotApplied));
    let write =
        end(&fixture.record, SessionEnd::AllOf(user.id)).await.expect_err("nobody is there");
    assert_eq!(told(&write), (FailureClass::Unreachable, Outcome::NotApplied));
    fixture.server.start();
    until_it_answers(&fixture.record).await;
    assert!(find(&fixture.record, stays).await.is_some());
    assert_eq!(find(&fixture.record, ends).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_left() {
    let fixture = Fixture::alone().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, _) = login(&fixture.record, &user).await;
    fixture.server.configure(&[("default_transaction_read_only", "on")]);
    fixture.server.reload();
    let observer = fixture.client().await;
    observer
        .until("SELECT (current_setting('default_transaction_read_only') = 'on')::int::bigint", 1)
        .await;
    let probed = fixture.record.probe(soon()).await.expect("it still reads");
    assert_eq!(probed.write_failure, Some(FailureClass::Readonly));
    // First by the server's answer, then because no host takes writes.
    for _ in 0..2 {
        let error = end(&fixture.record, SessionEnd::One(id)).await.expect_err("it takes none");
        assert_eq!(told(&error), (FailureClass::Readonly, Outcome::NotApplied));
    }
    fixture.server.configure(&[("default_transaction_read_only", "off")]);
    fixture.server.reload();
    observer
        .until("SELECT (current_setting('default_transaction_read_only') = 'on')::int::bigint", 0)
        .await;
    until_it_answers(&fixture.record).await;
    assert_eq!(end(&fixture.record, SessionEnd::One(id)).await.expect("it takes writes"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_told_apart_from_a_slow_server() {
    let fixture = Fixture::shared().await;
    let mut impatient = fixture.options();
    impatient.lock_timeout = Duration::from_millis(100);
    let node = open(&impatient);
    let user = create_user(&node, "alice").await;
    let holder = fixture.client().await;
    holder.run("BEGIN; LOCK TABLE nightlatch.sessions").await;
    let created = node.create_session(session_of(&user), prefix(), Actor::node(), soon()).await;
    let error = created.expect_err("the table is locked");
    assert_eq!(told(&error), (FailureClass::Locked, Outcome::NotApplied));
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_tried_again_but_not_for_ever() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let conflict = |times: u32| {
        format!(
            "DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries;
             CREATE OR REPLACE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') <= {times} THEN
                     RAISE EXCEPTION 'conflict' USING ERRCODE = '40001';
                 END IF;
                 RETURN NEW;
             END $$"
        )
    };
    let admin = fixture.client().await;
    admin.run(&conflict(2)).await;
    admin
        .run(
            "CREATE TRIGGER conflict BEFORE INSERT ON nightlatch.sessions FOR EACH ROW
              EXECUTE FUNCTION conflict()",
        )
        .await;
    login(&fixture.record, &user).await;
    admin.run(&conflict(100)).await;
    let created =
        fixture.record.create_session(session_of(&user), prefix(), Actor::node(), soon()).await;
    let error = created.expect_err("it never ends");
    assert_eq!(told(&error), (FailureClass::Busy, Outcome::NotApplied));
    assert_eq!(admin.number("SELECT last_value FROM tries").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_an_operator_cancels_is_sent_again() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    let holder = fixture.client().await;
    holder.run("BEGIN; SELECT FROM nightlatch.feed_head FOR UPDATE").await;
    let operator = fixture.client().await;
    let (ended, ()) = tokio::join!(end(&fixture.record, SessionEnd::One(id)), async {
        operator.until(WAITING, 1).await;
        operator
            .run(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
        holder.run("COMMIT").await;
    });
    ended.expect("nobody is in the way any more");
    assert_eq!(find(&fixture.record, token).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart() {
    let fixture = Fixture::shared().await;
    let (server, database) = (&fixture.server, &fixture.database);
    let (stranger, crowd) = (format!("stranger_{database}"), format!("crowd_{database}"));
    server.sql(database, &format!("CREATE ROLE {stranger} LOGIN PASSWORD 'x'"));
    server.sql(database, &format!("CREATE ROLE {crowd} LOGIN PASSWORD 'x' CONNECTION LIMIT 0"));
    let empty = server.create_database();
    let port = server.port();
    for (url, class) in [
        (server.url_as(&stranger, "x", database), FailureClass::Forbidden),
        (server.url_as(&stranger, "y", database), FailureClass::AuthFailed),
        (format!("postgres://{stranger}@127.0.0.1:{port}/{database}"), FailureClass::AuthRequired),
        (server.url_as("nobody_at_all", "x", database), FailureClass::AuthFailed),
        (server.url_as(&crowd, "x", database), FailureClass::TooManyConnections),
        (server.url("no_such_database"), FailureClass::Missing),
        (server.url(&empty), FailureClass::Schema),
        ("postgres://u@host.invalid/d".to_owned(), FailureClass::Dns),
        ("postgres://u@127.0.0.1:1/d".to_owned(), FailureClass::Unreachable),
        ("postgres://u@%2Fno%2Fsuch%2Ffolder/d".to_owned(), FailureClass::Unreachable),
    ] {
        let error = open(&options(&url)).probe(soon()).await.expect_err(&url);
        assert_eq!(told(&error), (class, Outcome::NotApplied), "{url}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("correct-horse"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_its_own_row_is_corrupt_and_not_empty() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, token) = login(&fixture.record, &user).await;
    fixture.server.sql(&fixture.database, "DELETE FROM nightlatch.feed_head");
    let error = fixture.record.find_session(token, soon()).await.expect_err("it cannot be judged");
    assert_eq!((error.kind(), error.class()), (StoreErrorKind::Corrupt, FailureClass::Corrupt));
    fixture.server.sql(&fixture.database, "UPDATE nightlatch.users SET username = 'a b'");
    let listed = fixture.record.list_users(None, 10, soon()).await;
    assert_eq!(listed.expect_err("nobody has that name").kind(), StoreErrorKind::Corrupt);
}

/// Something that is no PostgreSQL: it answers each connection with `answer`, or never.
fn impostor(answer: Option<&'static [u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let Some(answer) = answer else {
                silent.push(stream);
                continue;
            };
            // The other side may give up at any moment. It is heard to its end, or what was said
            // to it would be lost with the connection.
            let mut heard = [0; 512];
            let _ = stream.read(&mut heard).and_then(|_| stream.write_all(answer));
            let _ = stream.shutdown(Shutdown::Write);
            while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_told_apart() {
    for (answer, parameters, class) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "", FailureClass::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "?sslmode=disable", FailureClass::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "?sslmode=require", FailureClass::TlsNotSpoken),
        (b"", "?sslmode=disable", FailureClass::Closed),
    ] {
        let url = format!("postgres://u:p@127.0.0.1:{}/d{parameters}", impostor(Some(answer)));
        let error = open(&options(&url)).probe(soon()).await.expect_err("it is none");
        assert_eq!(told(&error), (class, Outcome::NotApplied), "{parameters}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_hangs_or_refuses_is_passed_over_for_the_next() {
    let fixture = Fixture::shared().await;
    let hanging = impostor(None);
    let url = fixture.server.url(&fixture.database);
    let url = url.replace('@', &format!("@127.0.0.1:1,127.0.0.1:{hanging},"));
    let mut several = options(&url);
    several.connect_timeout = Duration::from_millis(200);
    let node = open(&several);
    node.probe(soon()).await.expect("the third host answers");
    // The next connection begins with the host that did well.
    node.probe(within(Duration::from_secs(1))).await.expect("it answers at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_sessions_end_in_one_statement() {
    let fixture = Fixture::on(Arc::new(PostgresServer::launch())).await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, token) = login(&fixture.record, &user).await;
    let many = "INSERT INTO nightlatch.sessions
        SELECT gen_random_uuid(), decode(md5(n::text) || md5(n::text), 'hex'), user_id, generation,
            created_at, last_seen_at, expires_at, remember, address, user_agent, NULL
        FROM nightlatch.sessions, generate_series(1, 100000) n";
    fixture.server.sql(&fixture.database, many);
    let ended = end(&fixture.record, SessionEnd::Everything).await.expect("within the deadline");
    assert_eq!(ended, 100_001);
    assert_eq!(find(&fixture.record, token).await, None);
    let head = fixture.record.probe(soon()).await.expect("it answers").head;
    assert_eq!(head.newest.position.0, 2, "one row says it for all");
}
