//! Each clause of the rule by the shortest story that breaks without it.

use uuid::Uuid;

use super::*;
use crate::{AsOf, FailureClass, FeedKind, Generation, LostUser, SessionId, UserId};

const STALENESS: Duration = Duration::from_mins(5);
const EPOCH: History = History { record: Uuid::nil(), epoch: Epoch(1) };

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session(number: u128) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(number))
}

fn user(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(number))
}

/// The row at a position has ten times its number as id.
fn place(position: i64) -> AsOf {
    AsOf { position: Position(position), row_id: position * 10 }
}

fn row(position: i64, kind: FeedKind) -> FeedRow {
    FeedRow { at: place(position), kind }
}

fn head(position: i64) -> Head {
    Head { history: EPOCH, newest: place(position), pruned_to: Position(0) }
}

/// A copy of session 1 of user 1, of generation 1, read at a position.
fn copy(position: i64) -> Stamp {
    Stamp {
        session: session(1),
        user: user(1),
        generation: Generation(1),
        history: EPOCH,
        as_of: place(position),
        read_at: at(0),
    }
}

/// The same, read at a time.
fn copy_read(position: i64, read_at: Duration) -> Stamp {
    Stamp { read_at, ..copy(position) }
}

fn news(head_at: i64, asked: Option<i64>, rows: Vec<FeedRow>) -> FeedNews {
    FeedNews { head: head(head_at), asked, rows, now: None, write_failure: None }
}

/// A node that has seen the feed end at position 5, at time zero.
fn node() -> Coherence {
    let mut node = Coherence::new(CoherenceLimits::new(STALENESS));
    assert_eq!(node.question(), Question::Head);
    node.told_head(head(5), at(0));
    assert_eq!(node.question(), Question::Rows(place(5)));
    node
}

/// A node that has also been told these rows from position 6 on.
fn node_told(kinds: &[FeedKind]) -> Coherence {
    let mut node = node();
    let rows: Vec<_> = (6..).zip(kinds).map(|(position, kind)| row(position, *kind)).collect();
    let end = rows.last().expect("at least one").at.position.0;
    assert_eq!(node.told_rows(&news(end, Some(50), rows), at(0), at(1)), Learned::default());
    node
}

#[test]
fn a_node_without_a_view_believes_nothing() {
    let mut node = Coherence::new(CoherenceLimits::new(STALENESS));
    assert_eq!(node.judge(&copy(5), at(0)), Verdict::Unconfirmed);
    assert_eq!(node.judge_answer(&copy(5)), Verdict::Unconfirmed);
    node.record_failed(at(0));
    assert_eq!(node.judge(&copy(5), at(0)), Verdict::Miss);
    assert!(!node.serves_copies(at(0)));
}

#[test]
fn the_rows_of_the_feed_judge_copies_by_name() {
    let below = |generation| FeedKind::UserBelow(user(1), Generation(generation));
    for (kind, older, same_age) in [
        (FeedKind::Session(session(1)), Verdict::Revoked, Verdict::Revoked),
        (FeedKind::Session(session(2)), Verdict::Believed, Verdict::Believed),
        (below(1), Verdict::Believed, Verdict::Believed),
        (below(2), Verdict::Revoked, Verdict::Revoked),
        (FeedKind::UserDisabled(user(1), Generation(2)), Verdict::Revoked, Verdict::Revoked),
        (FeedKind::UserDisabled(user(2), Generation(2)), Verdict::Believed, Verdict::Believed),
        // These only say that older copies must be read again.
        (FeedKind::UserEnabled(user(1)), Verdict::Miss, Verdict::Believed),
        (FeedKind::RefetchUser(user(1)), Verdict::Miss, Verdict::Believed),
        (FeedKind::RefetchUser(user(2)), Verdict::Believed, Verdict::Believed),
        (FeedKind::RefetchSession(session(1)), Verdict::Miss, Verdict::Believed),
        (FeedKind::RefetchSession(session(2)), Verdict::Believed, Verdict::Believed),
        (FeedKind::Everything, Verdict::Miss, Verdict::Believed),
        (FeedKind::Unknown(99), Verdict::Miss, Verdict::Believed),
    ] {
        let mut node = node_told(&[kind]);
        assert_eq!(node.judge(&copy(5), at(2)), older, "{kind:?}");
        assert_eq!(node.judge(&copy(6), at(2)), same_age, "{kind:?}");
        // What the record answers is judged alike: it may have been read before the revocation.
        assert_eq!(node.judge_answer(&copy(5)), older, "{kind:?}");
        assert_eq!(node.judge_answer(&copy(6)), same_age, "{kind:?}");
    }
}

#[test]
fn a_reader_that_writes_an_old_row_back_after_a_logout_is_not_believed() {
    let mut node = node();
    // It loads at position 5; the logout commits at 6 on this node, is acknowledged, and only then
    // the reader puts its copy into the cache.
    let loaded = copy(5);
    node.wrote(&[row(6, FeedKind::Session(session(1)))], at(10));
    assert_eq!(node.judge_answer(&loaded), Verdict::Revoked);
    assert_eq!(node.judge(&loaded, at(20)), Verdict::Revoked);
}

#[test]
fn copies_from_before_the_view_cannot_be_judged() {
    let node = node();
    assert_eq!(node.judge(&copy(4), at(1)), Verdict::Miss);
    assert_eq!(node.judge(&copy(5), at(1)), Verdict::Believed);
}

#[test]
fn another_id_at_the_same_position_is_another_history() {
    let mut node = node_told(&[FeedKind::Session(session(2)), FeedKind::Session(session(3))]);
    let foreign = |position| Stamp {
        as_of: AsOf { position: Position(position), row_id: 1 },
        ..copy(position)
    };
    for position in [5, 6, 7] {
        assert_eq!(node.judge(&foreign(position), at(1)), Verdict::Miss);
        assert_eq!(node.judge_answer(&foreign(position)), Verdict::Miss);
    }
    let other_epoch = Stamp { history: History { epoch: Epoch(2), ..EPOCH }, ..copy(7) };
    let other_record = Stamp { history: History { record: Uuid::max(), ..EPOCH }, ..copy(7) };
    assert_eq!(node.judge(&other_epoch, at(1)), Verdict::Miss);
    assert_eq!(node.judge(&other_record, at(1)), Verdict::Miss);
}

#[test]
fn the_lease_counts_from_the_start_of_the_look() {
    let mut node = node();
    assert_eq!(node.judge(&copy(5), at(2000)), Verdict::Believed);
    assert_eq!(node.judge(&copy(5), at(2001)), Verdict::Unconfirmed);
    // Asked at 1000, answered late: what was committed after 1000 may be unknown.
    node.told_rows(&news(5, Some(50), vec![]), at(1000), at(1900));
    assert_eq!(node.judge(&copy(5), at(3000)), Verdict::Believed);
    assert_eq!(node.judge(&copy(5), at(3001)), Verdict::Unconfirmed);
}

#[test]
fn without_the_record_copies_are_served_for_as_long_as_the_bound() {
    let mut node = node();
    let bound = STALENESS;
    for (now, verdict) in [
        (at(2000), Verdict::Believed),
        (at(2001), Verdict::BelievedStale),
        (bound, Verdict::BelievedStale),
        (bound + at(1), Verdict::TooStale),
    ] {
        node.record_failed(now);
        assert_eq!(node.judge(&copy(5), now), verdict, "{now:?}");
    }
    assert!(node.serves_copies(bound) && !node.serves_copies(bound + at(1)));
    // What is known to have ended is refused all the time.
    node.wrote(&[row(6, FeedKind::Session(session(1)))], bound);
    assert_eq!(node.judge(&copy(5), bound + at(1)), Verdict::Revoked);
    // The next look that succeeds ends it.
    let rows = vec![row(6, FeedKind::Session(session(1)))];
    node.told_rows(&news(6, Some(50), rows), bound + at(5), bound + at(6));
    let other = Stamp { session: session(2), ..copy_read(6, bound) };
    assert_eq!(node.judge(&other, bound + at(7)), Verdict::Believed);
}

#[test]
fn that_the_record_is_away_is_believed_for_no_longer_than_a_lease() {
    let mut node = node();
    node.record_failed(at(3000));
    assert_eq!(node.judge(&copy(5), at(5000)), Verdict::BelievedStale);
    assert_eq!(node.judge(&copy(5), at(5001)), Verdict::Unconfirmed, "it may be back: look");
}

#[test]
fn a_copy_is_read_again_after_its_life_unless_nobody_can_read_it() {
    let mut node = node();
    let now = COPY_LIFE + at(100);
    node.told_rows(&news(5, Some(50), vec![]), now, now);
    assert_eq!(node.judge(&copy_read(5, at(100)), now), Verdict::Believed);
    assert_eq!(node.judge(&copy_read(5, at(99)), now), Verdict::Miss);
    node.record_failed(now);
    assert_eq!(node.judge(&copy_read(5, at(99)), now), Verdict::Believed);
}

#[test]
fn an_answer_confirms_the_view_only_if_the_feed_ends_where_the_view_does() {
    let mut node = node();
    assert_eq!(node.judge_answer(&copy_read(5, at(1000))), Verdict::Believed);
    assert_eq!(node.judge(&copy(5), at(3000)), Verdict::Believed);
    // One from further on: there are rows that this node has not seen.
    assert_eq!(node.judge_answer(&copy_read(6, at(2000))), Verdict::Believed);
    assert!(node.may_be_ahead(&copy(6)) && node.is_ahead(&copy(6), at(2000)));
    assert_eq!(node.judge(&copy(5), at(3001)), Verdict::Unconfirmed);
    // And from then on an answer at the end of the view confirms nothing either.
    assert_eq!(node.judge_answer(&copy_read(5, at(2500))), Verdict::Believed);
    assert_eq!(node.judge(&copy(5), at(3001)), Verdict::Unconfirmed);
}

#[test]
fn a_part_of_the_rows_binds_but_does_not_confirm() {
    let mut node = node();
    let rows = vec![row(6, FeedKind::Session(session(1)))];
    let learned = node.told_rows(&news(7, Some(50), rows), at(1500), at(1501));
    assert!(learned.ask_again && !learned.copies_are_void);
    assert_eq!(node.judge(&copy(5), at(1502)), Verdict::Revoked);
    let other = Stamp { session: session(2), ..copy(6) };
    assert_eq!(node.judge(&other, at(2001)), Verdict::Unconfirmed);
    assert_eq!(node.question(), Question::Rows(place(6)));
}

#[test]
fn a_node_that_slept_too_long_begins_anew_without_a_fork() {
    let mut node = node();
    let mut told = news(100, None, vec![row(90, FeedKind::Session(session(2)))]);
    told.head.pruned_to = Position(80);
    let learned = node.told_rows(&told, at(9_000_000), at(9_000_001));
    assert!(learned.copies_are_void && !learned.forked);
    assert_eq!((node.forks(), node.question()), (0, Question::Rows(place(100))));
    assert_eq!(node.judge(&copy(99), at(9_000_002)), Verdict::Miss);
}

#[test]
fn a_pruned_row_at_the_end_of_the_view_is_no_fork() {
    let mut node = node();
    let mut told = news(6, None, vec![row(6, FeedKind::Session(session(2)))]);
    told.head.pruned_to = Position(5);
    assert_eq!(node.told_rows(&told, at(10), at(11)), Learned::default());
    assert_eq!(node.judge(&copy(5), at(12)), Verdict::Believed);
}

/// Lets the node compare: the new history has these rows, and ends at a position.
fn compare_all(node: &mut Coherence, rows: &[FeedRow], end: i64) {
    assert!(matches!(node.question(), Question::Compare(_)), "{:?}", node.question());
    while let Question::Compare(after) = node.question() {
        let rows = rows.iter().filter(|row| row.at.position > after).copied().collect();
        node.told_comparison(&news(end, None, rows), after);
    }
    assert!(matches!(node.question(), Question::Rows(_)), "{:?}", node.question());
}

/// A record that went back: every way in which it shows.
#[test]
fn a_record_that_goes_backwards_is_noticed_and_what_was_revoked_stays_revoked() {
    let mine = [row(6, FeedKind::Session(session(1)))];
    let elsewhere = FeedRow { at: AsOf { row_id: 1, ..place(6) }, ..mine[0] };
    for (what, told) in [
        ("the head is before the view", news(4, None, vec![])),
        ("another row at the end of the view", news(5, Some(51), vec![])),
        ("the row at the end of the view is gone", news(7, None, vec![])),
        ("a row that this node wrote is not there", news(5, Some(50), vec![])),
        ("a row that this node wrote is another", news(6, Some(50), vec![elsewhere])),
    ] {
        let mut node = node();
        node.wrote(&mine, at(10));
        let learned = node.told_rows(&told, at(20), at(21));
        assert!(learned.forked && learned.copies_are_void && learned.ask_again, "{what}");
        assert_eq!(node.question(), Question::NewEpoch(EPOCH), "{what}");
        // Nothing is written into the history that is given up.
        assert_eq!(node.lost(10), None, "{what}");
        let newer = History { epoch: Epoch(2), ..EPOCH };
        node.told_head(Head { history: newer, ..head(7) }, at(30));
        assert_eq!(node.lost(10), None, "{what}: not before it is compared");
        compare_all(&mut node, &told.rows, 7);
        let revived = Stamp { history: newer, ..copy(7) };
        assert_eq!(node.judge(&revived, at(31)), Verdict::Revoked, "{what}");
        let lost = node.lost(10).expect("it is written back");
        assert_eq!(lost.sessions, vec![session(1)], "{what}");
        node.restored(&lost);
        assert_eq!(node.lost(10), None, "{what}");
        assert_eq!(node.forks(), 1, "{what}");
    }
}

#[test]
fn a_look_that_began_before_a_row_was_written_says_nothing_of_it() {
    let mut node = node();
    node.wrote(&[row(6, FeedKind::Session(session(1)))], at(20));
    // Asked at 10, or in the very instant: it may well not have seen it.
    for began in [at(10), at(20)] {
        assert_eq!(node.told_rows(&news(5, Some(50), vec![]), began, at(30)), Learned::default());
    }
    assert_eq!(node.judge(&copy(5), at(31)), Verdict::Revoked);
}

#[test]
fn who_finds_another_epoch_follows_it_and_writes_back_too() {
    let mut node = node_told(&[FeedKind::UserDisabled(user(1), Generation(3))]);
    let newer = History { epoch: Epoch(2), ..EPOCH };
    let mut told = news(6, Some(60), vec![]);
    told.head.history = newer;
    let learned = node.told_rows(&told, at(20), at(21));
    assert!(learned.forked && learned.ask_again);
    assert_eq!((node.epoch(), node.question()), (Some(Epoch(2)), Question::Compare(Position(4))));
    let others = FeedRow { at: AsOf { row_id: 1, ..place(6) }, ..row(6, FeedKind::Everything) };
    compare_all(&mut node, &[row(5, FeedKind::Start), others], 6);
    let disabled = LostUser { id: user(1), below: Some(Generation(3)), enabled: Some(false) };
    assert_eq!(node.lost(10).map(|lost| lost.users), Some(vec![disabled]));
    // Copies of the history before are void, even at a position that exists in both.
    let survivor = Stamp { user: user(2), session: session(2), ..copy(6) };
    assert_eq!(node.judge(&survivor, at(22)), Verdict::Miss);
}

/// What the record kept was perhaps undone since, with good reason; an old "everything" would end
/// today's sessions.
#[test]
fn only_what_the_record_has_lost_is_written_back() {
    let below = |number, generation| FeedKind::UserBelow(user(number), Generation(generation));
    let disabled = |number| FeedKind::UserDisabled(user(number), Generation(3));
    for (what, said, kept, lost) in [
        ("all of it", vec![FeedKind::Everything, disabled(1)], 0, (0, 1, true)),
        ("none of it", vec![FeedKind::Everything, disabled(1)], 2, (0, 0, false)),
        ("its end", vec![FeedKind::Everything, disabled(1)], 1, (0, 1, false)),
        ("what names the same", vec![below(1, 2), disabled(1), below(1, 4)], 0, (0, 1, false)),
        ("what ends nothing", vec![FeedKind::RefetchUser(user(1))], 0, (0, 0, false)),
        ("an enabling", vec![FeedKind::UserEnabled(user(1))], 0, (0, 0, false)),
    ] {
        let mut node = node_told(&said);
        node.told_rows(&news(4, None, vec![]), at(20), at(21));
        let newer = Head { history: History { epoch: Epoch(2), ..EPOCH }, ..head(5 + kept) };
        node.told_head(newer, at(30));
        let kinds = [FeedKind::Start].into_iter().chain(said);
        let rows: Vec<_> = (5..=5 + kept).zip(kinds).map(|(at, kind)| row(at, kind)).collect();
        compare_all(&mut node, &rows, 5 + kept);
        let mut found = (0, 0, false);
        while let Some(written) = node.lost(10) {
            // What ends everything is written by itself: nothing that fails repeats it.
            let names = written.sessions.len() + written.users.len();
            assert!(!written.everything || names == 0, "{what}");
            found.0 += written.sessions.len();
            found.1 += written.users.len();
            found.2 |= written.everything;
            node.restored(&written);
        }
        assert_eq!(found, lost, "{what}");
    }
}

/// A node slept while history forked and was pruned: what it knows may well have been kept.
#[test]
fn what_may_have_been_pruned_is_written_back_as_far_as_that_does_no_harm() {
    let mut node = node_told(&[
        FeedKind::Everything,
        FeedKind::UserDisabled(user(1), Generation(3)),
        FeedKind::Session(session(1)),
    ]);
    let newer = History { epoch: Epoch(2), ..EPOCH };
    let mut told = news(12, None, vec![row(12, FeedKind::RefetchUser(user(2)))]);
    (told.head.history, told.head.pruned_to) = (newer, Position(11));
    node.told_rows(&told, at(20), at(21));
    let Question::Compare(after) = node.question() else { panic!("{:?}", node.question()) };
    node.told_comparison(&told, after);
    let lost = node.lost(10).expect("it cannot be told what was lost");
    assert_eq!((lost.sessions.len(), lost.everything), (1, false));
    let ended = LostUser { id: user(1), below: Some(Generation(3)), enabled: None };
    assert_eq!(lost.users, vec![ended]);
}

#[test]
fn a_user_who_was_enabled_again_is_not_disabled_by_what_is_written_back() {
    let mut node = node_told(&[
        FeedKind::UserDisabled(user(1), Generation(3)),
        FeedKind::UserEnabled(user(1)),
    ]);
    node.told_rows(&news(4, None, vec![]), at(20), at(21));
    node.told_head(Head { history: History { epoch: Epoch(2), ..EPOCH }, ..head(4) }, at(30));
    compare_all(&mut node, &[], 4);
    let raised = LostUser { id: user(1), below: Some(Generation(3)), enabled: None };
    assert_eq!(node.lost(10).map(|lost| lost.users), Some(vec![raised]));
}

#[test]
fn a_full_view_gives_more_misses_and_no_wrong_answer() {
    let limits = CoherenceLimits { remembered_max: 3, ..CoherenceLimits::new(STALENESS) };
    let mut node = Coherence::new(limits);
    node.told_head(head(5), at(0));
    let rows = (6..=10).map(|n| row(n, FeedKind::Session(session(n.unsigned_abs().into()))));
    node.told_rows(&news(10, Some(50), rows.collect()), at(0), at(1));
    assert_eq!(node.remembered(), 3);
    for position in 6..=10_i64 {
        let revoked = Stamp { session: session(position.unsigned_abs().into()), ..copy(5) };
        // Forgotten at 6 and 7: whoever could be fooled by that is too old to be judged.
        let expected = if position <= 7 { Verdict::Miss } else { Verdict::Revoked };
        assert_eq!(node.judge(&revoked, at(2)), expected, "{position}");
    }
    assert_eq!(node.judge(&copy(6), at(2)), Verdict::Miss);
    assert_eq!(node.judge(&copy(7), at(2)), Verdict::Believed);
}

#[test]
fn names_are_forgotten_after_the_window_and_not_while_they_are_learned_again() {
    let mut node = node_told(&[FeedKind::Session(session(1)), FeedKind::Session(session(2))]);
    let window = CoherenceLimits::new(STALENESS).window;
    let again = vec![row(8, FeedKind::Session(session(1)))];
    node.told_rows(&news(8, Some(70), again), window, window);
    let later = window + at(2);
    node.told_rows(&news(8, Some(80), vec![]), later, later);
    assert_eq!(node.remembered(), 1);
    assert_eq!(node.judge(&copy(8), later), Verdict::Revoked, "learned again within the window");
    assert_eq!(node.judge(&Stamp { session: session(2), ..copy(6) }, later), Verdict::Miss);
}

/// What is refused here is written back, too: other nodes would accept what this one refuses.
#[test]
fn a_generation_is_forgotten_with_the_row_that_raised_it() {
    let limits = CoherenceLimits { remembered_max: 1, ..CoherenceLimits::new(STALENESS) };
    let mut node = Coherence::new(limits);
    node.told_head(head(5), at(0));
    let of_user = [FeedKind::UserBelow(user(1), Generation(2)), FeedKind::UserEnabled(user(1))];
    let rows = vec![row(6, of_user[0]), row(7, of_user[1])];
    node.told_rows(&news(7, Some(50), rows), at(0), at(1));
    assert_eq!(node.judge(&copy(6), at(2)), Verdict::Miss, "refused by no name any more");
    assert_eq!(node.judge(&copy(7), at(2)), Verdict::Believed);
}

#[test]
fn what_is_lost_is_written_back_in_batches() {
    let ended: Vec<_> = (1..=5).map(|number| FeedKind::Session(session(number))).collect();
    let mut node = node_told(&ended);
    node.told_rows(&news(4, None, vec![]), at(20), at(21));
    node.told_head(Head { history: History { epoch: Epoch(2), ..EPOCH }, ..head(4) }, at(30));
    compare_all(&mut node, &[], 4);
    let mut written = 0;
    while let Some(batch) = node.lost(2) {
        assert!(batch.sessions.len() <= 2);
        written += batch.sessions.len();
        node.restored(&batch);
    }
    assert_eq!(written, 5);
}

#[test]
fn a_record_that_takes_no_changes_confirms_all_the_same() {
    let mut node = node();
    let mut told = news(5, Some(50), vec![]);
    told.write_failure = Some(FailureClass::Readonly);
    node.record_failed(at(4900));
    node.told_rows(&told, at(5000), at(5001));
    assert_eq!(node.judge(&copy(5), at(7000)), Verdict::Believed);
}

#[test]
fn a_row_that_this_node_writes_where_another_stood_proves_a_fork() {
    let mut node = node_told(&[FeedKind::UserBelow(user(1), Generation(5))]);
    // The record went back over position 6, and gave it out once more.
    let mine = FeedRow { at: AsOf { row_id: 1, ..place(6) }, kind: FeedKind::Session(session(9)) };
    node.wrote(&[mine], at(10));
    assert_eq!((node.forks(), node.question()), (1, Question::NewEpoch(EPOCH)));
    assert_eq!(node.judge(&Stamp { user: user(2), ..copy(6) }, at(11)), Verdict::Unconfirmed);
    // It stands in the new history, and is not written back with what that has lost.
    node.told_head(Head { history: History { epoch: Epoch(2), ..EPOCH }, ..head(6) }, at(20));
    compare_all(&mut node, &[row(5, FeedKind::Start), mine], 6);
    let lost = node.lost(10).expect("the other row of this position");
    assert_eq!((lost.sessions.len(), lost.users.len()), (0, 1));
}

/// A node writes to the new history before it knows of the fork, where it knew of no row.
#[test]
fn a_row_that_this_node_wrote_after_the_fork_is_not_written_back() {
    let mut node = node_told(&[FeedKind::UserBelow(user(1), Generation(5))]);
    node.wrote(&[row(7, FeedKind::Everything)], at(10));
    let another =
        FeedRow { at: AsOf { row_id: 1, ..place(6) }, kind: FeedKind::RefetchUser(user(2)) };
    let mut told = news(7, Some(1), vec![]);
    told.head.history = History { epoch: Epoch(2), ..EPOCH };
    node.told_rows(&told, at(20), at(21));
    let new = [row(5, FeedKind::Start), another, row(7, FeedKind::Everything)];
    compare_all(&mut node, &new, 7);
    let lost = node.lost(10).expect("the row that stood where another does");
    assert_eq!((lost.users.len(), lost.everything), (1, false));
}

#[test]
fn what_one_fork_kept_is_written_back_if_the_next_goes_further_back() {
    let disabled = FeedKind::UserDisabled(user(1), Generation(3));
    let epoch = |number| History { epoch: Epoch(number), ..EPOCH };
    // The next fork loses both rows, or only what came after them.
    for (kept, lost_users) in [(0, 1), (1, 0)] {
        let mut node = node_told(&[disabled, FeedKind::Session(session(2))]);
        // The first loses the second row alone.
        node.told_rows(&news(6, None, vec![]), at(20), at(21));
        node.told_head(Head { history: epoch(2), ..head(6) }, at(30));
        compare_all(&mut node, &[row(5, FeedKind::Start), row(6, disabled)], 6);
        let lost = node.lost(10).expect("one is lost");
        assert_eq!((lost.sessions.as_slice(), lost.users.len()), (&[session(2)][..], 0));
        node.restored(&lost);
        let mut told = news(5 + kept, None, vec![]);
        told.head.history = epoch(3);
        node.told_rows(&told, at(40), at(41));
        let rows = [row(5, FeedKind::Start), row(6, disabled)];
        compare_all(&mut node, &rows[..=usize::try_from(kept).unwrap()], 5 + kept);
        let lost = node.lost(10).expect("it was written back, and may be lost by this one");
        assert_eq!((lost.sessions.as_slice(), lost.users.len()), (&[session(2)][..], lost_users));
        assert!(lost.users.iter().all(|user| user.enabled == Some(false)), "{lost:?}");
    }
}

#[test]
fn what_another_node_announces_binds_and_confirms_nothing() {
    let mut node = node();
    let ended = row(6, FeedKind::Session(session(1)));
    let announced = Announced { is_new: true, copies_are_void: false };
    assert_eq!(node.announced(EPOCH, &[ended], at(100)), announced);
    for _ in 0..10 {
        assert_eq!(node.announced(EPOCH, &[ended], at(100)), Announced::default(), "again");
    }
    assert_eq!(node.remembered(), 1);
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Revoked);
    // It is no look at the feed: the lease runs out as it would have.
    let other = Stamp { session: session(2), ..copy(5) };
    assert_eq!(node.judge(&other, at(2_001)), Verdict::Unconfirmed);
    assert_eq!(node.question(), Question::Rows(place(5)));
    // And it is a row that the feed must have from now on.
    let learned = node.told_rows(&news(5, Some(50), vec![]), at(200), at(201));
    assert!(learned.forked);
}

#[test]
fn what_is_announced_of_another_record_says_nothing_here() {
    let mut node = node();
    let staging = History { record: Uuid::from_u128(9), ..EPOCH };
    let ends = [row(6, FeedKind::Session(session(1))), row(7, FeedKind::Everything)];
    assert_eq!(node.announced(staging, &ends, at(100)), Announced::default());
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Believed);
    let mut blind = Coherence::new(CoherenceLimits::new(STALENESS));
    for _ in 0..1000 {
        blind.announced(staging, &ends, at(100));
    }
    blind.told_head(head(5), at(90));
    assert_eq!((blind.remembered(), blind.judge(&copy(5), at(101))), (0, Verdict::Believed));
}

/// The record has forked, and only one of the two nodes knows.
#[test]
fn an_end_in_another_epoch_is_an_end_and_is_written_back() {
    let mut node = node();
    let other = History { epoch: Epoch(2), ..EPOCH };
    let ends = [
        row(3, FeedKind::Session(session(1))),
        row(4, FeedKind::UserBelow(user(2), Generation(2))),
        row(5, FeedKind::RefetchUser(user(3))),
    ];
    let announced = Announced { is_new: true, copies_are_void: false };
    assert_eq!(node.announced(other, &ends, at(100)), announced);
    assert_eq!(node.announced(other, &ends, at(100)), Announced::default(), "again");
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Revoked);
    let of_two = Stamp { session: session(2), user: user(2), ..copy(5) };
    assert_eq!(node.judge(&of_two, at(101)), Verdict::Revoked);
    let of_three = Stamp { session: session(3), user: user(3), ..copy(5) };
    assert_eq!(node.judge(&of_three, at(101)), Verdict::Believed);
    let lost = node.lost(10).expect("who wrote it may be gone");
    assert_eq!((lost.sessions, lost.users.len()), (vec![session(1)], 1));
    assert_eq!(node.forks(), 0, "only the record shows that");
}

#[test]
fn an_end_of_everything_in_another_epoch_leaves_nothing_to_believe() {
    let mut node = node();
    let other = History { epoch: Epoch(2), ..EPOCH };
    let announced = Announced { is_new: true, copies_are_void: true };
    let everything = [row(3, FeedKind::Everything)];
    assert_eq!(node.announced(other, &everything, at(100)), announced);
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Unconfirmed);
    node.record_failed(at(102));
    assert_eq!(node.judge(&copy(5), at(103)), Verdict::Miss, "not even while the record is away");
    assert_eq!(node.question(), Question::Head);
}

/// Copies of the epoch that is given up may lie elsewhere still: it must not be followed again.
#[test]
fn a_record_that_is_back_in_an_epoch_of_before_gets_a_new_one() {
    let mut node = node();
    let epoch = |number| History { epoch: Epoch(number), ..EPOCH };
    let mut told = news(5, Some(50), vec![]);
    told.head.history = epoch(2);
    node.told_rows(&told, at(20), at(21));
    compare_all(&mut node, &[row(5, FeedKind::Start)], 5);
    assert_eq!(node.history(), Some(epoch(2)));
    // The same backup once more.
    let learned = node.told_rows(&news(5, Some(50), vec![]), at(40), at(41));
    assert!(learned.forked && learned.copies_are_void);
    assert_eq!((node.history(), node.question()), (None, Question::NewEpoch(EPOCH)));
    node.told_head(Head { history: epoch(3), ..head(5) }, at(50));
    assert_eq!((node.history(), node.forks()), (Some(epoch(3)), 2));
}

/// It was written a moment ago, and where the feed ended then: or the call took long.
#[test]
fn after_a_row_that_this_node_writes_before_its_view_begins_nothing_is_believed_without_a_look() {
    let begin = Duration::from_hours(1);
    let mut node = node();
    node.told_rows(&news(5, Some(50), vec![]), begin, begin);
    let read = copy_read(5, begin);
    assert_eq!(node.judge(&read, begin), Verdict::Believed);
    node.wrote(&[row(4, FeedKind::Session(session(9)))], begin);
    assert_eq!((node.judge(&read, begin), node.forks()), (Verdict::Unconfirmed, 0));
    node.told_rows(&news(5, Some(50), vec![]), begin + at(1), begin + at(2));
    assert_eq!(node.judge(&read, begin + at(3)), Verdict::Believed);
}

/// The look was on its way when the row was written.
#[test]
fn what_is_announced_before_there_is_a_view_binds_as_soon_as_there_is() {
    let mut node = Coherence::new(CoherenceLimits::new(STALENESS));
    node.announced(EPOCH, &[row(6, FeedKind::Session(session(1)))], at(100));
    node.told_head(head(5), at(50));
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Revoked);
}

/// A copy has shown that the row is there, and not what it says.
#[test]
fn what_is_announced_of_a_row_that_was_only_expected_is_heard() {
    let mut node = node();
    let ahead = Stamp { session: session(2), user: user(2), ..copy(6) };
    assert!(node.is_ahead(&ahead, at(50)));
    node.announced(EPOCH, &[row(6, FeedKind::Session(session(1)))], at(100));
    assert_eq!(node.judge(&copy(5), at(101)), Verdict::Revoked);
}

/// Others have written it back, and somebody has let the user in again since.
#[test]
fn what_the_new_history_has_decided_anew_is_not_written_back() {
    let disabled = FeedKind::UserDisabled(user(1), Generation(3));
    let elsewhere = |position, kind| FeedRow { at: AsOf { row_id: 1, ..place(position) }, kind };
    let enabled = elsewhere(7, FeedKind::UserEnabled(user(1)));
    let ended = elsewhere(8, FeedKind::Everything);
    for (later, expected) in [
        (vec![], (Some(false), true)),
        (vec![enabled], (None, true)),
        (vec![enabled, ended], (None, false)),
    ] {
        let mut node = node_told(&[disabled, FeedKind::Everything]);
        let mut told = news(8, None, vec![]);
        told.head.history = History { epoch: Epoch(2), ..EPOCH };
        node.told_rows(&told, at(20), at(21));
        let parted = elsewhere(6, FeedKind::RefetchUser(user(2)));
        let rows = [vec![row(5, FeedKind::Start), parted], later].concat();
        compare_all(&mut node, &rows, 8);
        let everything = node.lost(10).is_some_and(|lost| lost.everything);
        if let Some(first) = node.lost(10).filter(|lost| lost.everything) {
            node.restored(&first);
        }
        let lost = node.lost(10).expect("the user's generation");
        assert_eq!((lost.users[0].enabled, everything), expected, "{rows:?}");
    }
}

/// It names nobody: whoever is good cannot be told from whoever is not.
#[test]
fn nothing_is_believed_before_a_lost_end_of_everything_is_written_back() {
    let mut node = node_told(&[FeedKind::Everything]);
    let mut told = news(5, None, vec![]);
    told.head.history = History { epoch: Epoch(2), ..EPOCH };
    node.told_rows(&told, at(20), at(21));
    let after = Stamp { history: told.head.history, ..copy_read(5, at(30)) };
    assert_eq!(node.judge_answer(&after), Verdict::Unconfirmed, "while it is compared");
    compare_all(&mut node, &[row(5, FeedKind::Start)], 5);
    assert_eq!(node.judge_answer(&after), Verdict::Unconfirmed, "while it is not written back");
    let lost = node.lost(10).expect("everything");
    node.restored(&lost);
    assert_eq!(node.judge_answer(&after), Verdict::Believed);
}
