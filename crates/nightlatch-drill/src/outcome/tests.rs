//! Logs of a fault in which one promise is broken, or none.

use super::*;
use crate::history::Told as Answer;

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Of the session 1, on the first server.
fn operation(asked: Asked, (began, ended): (u64, u64), status: u16) -> Operation {
    let code = if status == 503 { "database_unavailable" } else { "" };
    let answer =
        Answer { status, says_when: status == 503, code: code.to_owned(), ..Answer::default() };
    Operation {
        asked,
        username: "ada".to_owned(),
        session: Some(1),
        is_password_known: true,
        began: at(began),
        ended: at(ended),
        node: 0,
        start: 1,
        outcome: if status == 0 { Told::Lost } else { Told::Answered(answer) },
    }
}

/// The fault lasts from 1 s to 9 s; all is well at 10 s.
fn findings<'f>(name: &str, log: &'f [Operation]) -> Findings<'f> {
    let fault = Fault::named(name).expect("it is in the table");
    Findings {
        fault,
        log,
        circumstances: Circumstances::default(),
        faulty: (at(1000), at(9000)),
        end: at(12_000),
        recovery: Some(at(1000)),
        classes: Vec::new(),
        asleep: fault.asleep(),
    }
}

fn promises(outcome: &Outcome) -> Vec<&'static str> {
    outcome.broken.iter().map(|broken| broken.promise).collect()
}

/// A login before the fault, a check in it, a logout in it, and a check after it.
fn usual() -> Vec<Operation> {
    vec![
        operation(Asked::LogIn, (0, 50), 200),
        operation(Asked::Check, (2000, 2010), 200),
        operation(Asked::LogOut, (3000, 3020), 200),
        operation(Asked::Check, (10_000, 10_010), 401),
    ]
}

#[test]
fn what_nobody_must_notice_is_kept_by_what_is_served() {
    let outcome = findings("redis-refuses", &usual()).conclude();
    assert_eq!(promises(&outcome), Vec::<&str>::new());
    assert_eq!((outcome.requests, outcome.failures), (3, 0));
    assert_eq!((outcome.lost, outcome.resurrected, outcome.worst), (0, 0, at(20)));
}

#[test]
fn each_broken_promise_is_named() {
    let mute = || {
        let answer = Answer { status: 503, says_when: true, ..Answer::default() };
        let outcome = Told::Answered(answer);
        Operation { outcome, ..operation(Asked::Check, (2100, 2101), 503) }
    };
    for (what, fault, more, promise) in [
        (
            "a check is told 503 where nobody must notice",
            "redis-silent",
            operation(Asked::Check, (2100, 2101), 503),
            SERVED_CHECKS,
        ),
        (
            "a login gets no answer where nobody must notice",
            "redis-silent",
            operation(Asked::LogIn, (2100, 2101), 0),
            SERVED_WRITES,
        ),
        (
            "a session comes back",
            "redis-stale",
            operation(Asked::Check, (11_000, 11_001), 200),
            "An acknowledged logout is never undone",
        ),
        (
            "a session is lost",
            "redis-stale",
            operation(Asked::Check, (2100, 2101), 401),
            "An acknowledged login stays valid",
        ),
        (
            "a check takes long",
            "server-killed",
            operation(Asked::Check, (2000, 5500), 503),
            "Every request is answered within its limit",
        ),
        ("a 503 says nothing", "server-killed", mute(), "A 503 says why, by a code"),
        (
            "a failure becomes a 500",
            "server-killed",
            operation(Asked::LogOut, (2100, 2101), 500),
            "No failure becomes a 500",
        ),
    ] {
        let mut log = usual();
        log.push(more);
        assert_eq!(promises(&findings(fault, &log).conclude()), [promise], "{what}");
    }
}

#[test]
fn what_cannot_be_kept_must_be_refused() {
    let served = findings("file-locked", &usual()).conclude();
    assert_eq!(promises(&served), [REFUSED_WRITES]);
    let mut log = usual();
    log.push(operation(Asked::LogOut, (2900, 2950), 503));
    let refused = findings("file-locked", &log).conclude();
    assert_eq!(promises(&refused), Vec::<&str>::new());
    assert_eq!(refused.failures, 1);
}

#[test]
fn a_drill_waits_for_the_end_of_a_fault_and_not_for_ever() {
    for (recovery, is_kept) in [(Some(at(10_000)), true), (Some(at(10_001)), false), (None, false)]
    {
        let log = usual();
        let outcome = Findings { recovery, ..findings("redis-refuses", &log) }.conclude();
        assert_eq!(outcome.broken.is_empty(), is_kept, "{recovery:?}");
    }
}

/// What waits in a sleeping server's sockets is no slow answer; what it says then is judged all the same.
#[test]
fn nobody_expects_an_answer_of_a_server_that_sleeps() {
    let asleep = |status| Operation { node: 1, ..operation(Asked::Check, (5200, 9100), status) };
    for (status, broken) in [(401, vec![]), (200, vec!["An acknowledged logout is never undone"])] {
        let mut log = usual();
        log.push(asleep(status));
        let outcome = findings("server-stopped", &log).conclude();
        assert_eq!(promises(&outcome), broken);
        assert_eq!(outcome.worst, at(20));
    }
}

#[test]
fn columns_say_what_was_told_and_when() {
    let log = [
        operation(Asked::LogIn, (0, 50), 200),
        operation(Asked::Check, (1100, 1400), 503),
        operation(Asked::Check, (1101, 1102), 0),
    ];
    let outcome = findings("redis-stale", &log).conclude();
    assert_eq!((outcome.width, outcome.columns.len()), (at(250), 49));
    let column = |served, refused, failed, worst| Column { served, refused, failed, worst };
    assert_eq!(outcome.columns[0], column(1, 0, 0, Some(at(50))));
    assert_eq!(outcome.columns[4], column(0, 1, 1, Some(at(300))));
    assert_eq!(outcome.columns[5], Column::default());
}
