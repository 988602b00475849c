//! Logs with a planted violation, and logs that look like one.

use super::*;

/// An operation of the session 7 of alice.
fn operation(asked: Asked, (began, ended): (u64, u64), status: u16) -> Operation {
    let told = Told { status, says_when: status == 503, ..Told::default() };
    Operation {
        asked,
        username: "alice".to_owned(),
        session: Some(7),
        is_password_known: true,
        began: Duration::from_millis(began),
        ended: Duration::from_millis(ended),
        node: 0,
        start: 1,
        outcome: if status == 0 { Outcome::Lost } else { Outcome::Answered(told) },
    }
}

fn login() -> Operation {
    operation(Asked::LogIn, (0, 10), 200)
}

fn pending(at: (u64, u64)) -> Operation {
    let mut logout = operation(Asked::LogOut, at, 503);
    if let Outcome::Answered(told) = &mut logout.outcome {
        told.code = "logout_pending".to_owned();
    }
    logout
}

fn other_change(at: (u64, u64), status: u16) -> Operation {
    Operation { session: Some(8), ..operation(Asked::ChangePassword, at, status) }
}

/// What is wrong with a log, by the first word of each kind.
fn found(log: &[Operation]) -> Vec<&'static str> {
    let judgement = judge(log);
    let kinds = judgement.all();
    kinds.iter().filter(|(_, lines)| !lines.is_empty()).map(|(kind, _)| *kind).collect()
}

#[test]
fn each_broken_promise_is_found_and_nothing_else() {
    use Asked::{Check, Exchange, LogOut, Verify};
    let check = |at, status| operation(Check, at, status);
    let logout = |at, status| operation(LogOut, at, status);
    let later = |mut operation: Operation| {
        operation.start = 2;
        operation
    };
    let nothing: &[&'static str] = &[];
    for (what, log, expected) in [
        ("served", vec![check((20, 21), 200)], nothing),
        ("unknown is no promise", vec![check((20, 21), 503), check((30, 31), 0)], nothing),
        ("lost", vec![check((20, 21), 401)], &["lost"]),
        ("lost at logout", vec![logout((20, 21), 401)], &["lost"]),
        ("exchanged", vec![operation(Exchange, (20, 21), 200), check((30, 31), 200)], nothing),
        ("lost at an exchange", vec![operation(Exchange, (20, 21), 401)], &["lost"]),
        ("verified", vec![operation(Verify, (20, 21), 200)], nothing),
        ("lost by its token", vec![operation(Verify, (20, 21), 401)], &["lost"]),
        (
            "exchanged after its end",
            vec![logout((20, 30), 200), operation(Exchange, (31, 32), 200)],
            &["revoked_accepted"],
        ),
        (
            "verified after its end",
            vec![logout((20, 30), 200), operation(Verify, (31, 32), 200)],
            &["revoked_accepted"],
        ),
        ("ended", vec![logout((20, 30), 200), check((31, 32), 401)], nothing),
        ("undone", vec![logout((20, 30), 200), check((31, 32), 200)], &["revoked_accepted"]),
        ("beside the logout", vec![logout((20, 30), 200), check((29, 32), 200)], nothing),
        ("during the logout", vec![logout((20, 30), 200), check((22, 24), 401)], nothing),
        ("unknown, lives", vec![logout((20, 30), 0), check((31, 32), 200)], nothing),
        ("unknown, over", vec![logout((20, 30), 0), check((31, 32), 401)], nothing),
        (
            "unknown, over, and back",
            vec![logout((20, 30), 0), check((31, 32), 401), later(check((41, 42), 200))],
            &["revoked_accepted"],
        ),
        ("pending", vec![pending((20, 30)), check((31, 32), 200)], &["revoked_accepted"]),
        (
            "who knew of a pending end has died",
            vec![pending((20, 30)), check((31, 32), 401), later(check((41, 42), 200))],
            nothing,
        ),
        ("told twice", vec![logout((20, 30), 200), logout((31, 32), 401)], nothing),
        ("changed", vec![other_change((20, 30), 200), check((31, 32), 401)], nothing),
        (
            "changed and accepted",
            vec![other_change((20, 30), 200), check((31, 32), 200)],
            &["revoked_accepted"],
        ),
        ("change refused", vec![other_change((20, 30), 401), check((31, 32), 401)], &["lost"]),
        ("a bug", vec![check((20, 21), 500)], &["http_500"]),
        ("a riddle", vec![check((20, 21), 404)], &["unexplained"]),
    ] {
        let log: Vec<Operation> = [login()].into_iter().chain(log).collect();
        assert_eq!(found(&log), expected, "{what}");
    }
}

#[test]
fn an_answer_is_judged_by_itself_too() {
    let told = |told: Told| Operation {
        outcome: Outcome::Answered(told),
        ..operation(Asked::LogIn, (20, 21), 0)
    };
    let known = told(Told { status: 401, ..Told::default() });
    assert_eq!(found(std::slice::from_ref(&known)), ["unjust_401"]);
    assert!(found(&[Operation { is_password_known: false, ..known }]).is_empty());
    let bob = Some("bob".to_owned());
    assert_eq!(
        found(&[told(Told { status: 200, username: bob, ..Told::default() })]),
        ["wrong_identity"]
    );
    assert_eq!(found(&[told(Told { status: 503, ..Told::default() })]), ["careless_503"]);
    let touched = Told { status: 503, says_when: true, touches_cookie: true, ..Told::default() };
    assert_eq!(found(&[told(touched)]), ["careless_503"]);
}

/// The same at another node.
fn elsewhere(operation: Operation) -> Operation {
    Operation { node: 1, ..operation }
}

#[test]
fn an_end_is_in_force_on_other_nodes_two_seconds_after_it_was_told() {
    use Asked::{Check, LogOut};
    let logout = || operation(LogOut, (20, 30), 200);
    let check = |began| elsewhere(operation(Check, (began, began + 1), 200));
    let nothing: &[&'static str] = &[];
    for (what, log, expected) in [
        ("in time", vec![logout(), check(2030)], nothing),
        ("too late", vec![logout(), check(2031)], &["revoked_accepted"]),
        ("a change", vec![other_change((20, 30), 200), check(2030)], nothing),
        (
            "a change, too late",
            vec![other_change((20, 30), 200), check(2031)],
            &["revoked_accepted"],
        ),
        ("pending elsewhere", vec![pending((20, 30)), check(9000)], nothing),
        (
            "told to be none elsewhere",
            vec![operation(LogOut, (20, 30), 0), operation(Check, (40, 50), 401), check(2050)],
            nothing,
        ),
        (
            "told to be none elsewhere, too late",
            vec![operation(LogOut, (20, 30), 0), operation(Check, (40, 50), 401), check(2051)],
            &["revoked_accepted"],
        ),
    ] {
        let log: Vec<Operation> = [login()].into_iter().chain(log).collect();
        assert_eq!(found(&log), expected, "{what}");
    }
}

#[test]
fn a_node_without_the_record_hears_of_an_end_when_it_is_back() {
    let logout = operation(Asked::LogOut, (20, 30), 200);
    let span = |node, from, to| {
        let at = Duration::from_millis;
        CutOff { node, from: at(from), to: at(to) }
    };
    for (cut_off, last_excused) in [
        (vec![], 2030),
        (vec![span(0, 0, 9000)], 2030),
        (vec![span(1, 0, 25)], 2030),
        (vec![span(1, 1000, 5000)], 7000),
        (vec![span(1, 6900, 8000), span(1, 1000, 5000)], 10_000),
        (vec![span(1, 2031, 5000)], 2030),
    ] {
        let circumstances = Circumstances { cut_off, ..Circumstances::default() };
        for (began, accepted) in [(last_excused, 0), (last_excused + 1, 1)] {
            let check = elsewhere(operation(Asked::Check, (began, began + 1), 200));
            let log = [login(), logout.clone(), check];
            let judgement = judge_under(&log, &circumstances);
            assert_eq!(judgement.revoked_accepted.len(), accepted, "{began}: {circumstances:?}");
        }
    }
}

#[test]
fn what_the_record_has_lost_is_excused_but_no_end_of_a_session() {
    let at = Duration::from_millis;
    let lost = |from, to| Circumstances {
        lost_writes: Some((at(from), at(to))),
        ..Circumstances::default()
    };
    let gone = [login(), operation(Asked::Check, (20, 21), 401)];
    assert!(judge_under(&gone, &lost(5, 15)).is_clean());
    assert_eq!(judge_under(&gone, &lost(11, 15)).lost.len(), 1);
    let wrong = [
        other_change((20, 30), 200),
        Operation { session: None, ..operation(Asked::LogIn, (40, 41), 401) },
    ];
    assert!(judge_under(&wrong, &lost(25, 35)).is_clean());
    assert_eq!(judge_under(&wrong, &lost(31, 35)).unjust_401.len(), 1);
    let undone =
        [login(), operation(Asked::LogOut, (20, 30), 200), operation(Asked::Check, (40, 41), 200)];
    assert_eq!(judge_under(&undone, &lost(15, 35)).revoked_accepted.len(), 1);
}
