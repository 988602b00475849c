//! Which rule is broken in the copies of the shipped sources, if any.
//!
//! Asked by the patches of `patches.rs`. A run stays on one thread, so each thread has its own
//! answer and tests can run side by side.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use nightlatch_core::Position;

/// Every mutant that sessions with a cookie show, with the rule that it breaks.
pub const MUTANTS: &[(&str, &str)] = &[
    ("view_skipped", "what the view says of a copy's session is not looked at"),
    ("no_fence", "copies from before `since` are believed"),
    ("as_of_ignored", "copies from before a change of groups are believed"),
    ("epoch_ignored", "copies of another history are kept and believed"),
    ("generation_ignored", "sessions below a user's generation are good"),
    ("login_at_any_generation", "a login is inserted though the generation moved"),
    ("lease_ignored", "the view is believed though nobody confirmed it"),
    ("staleness_ignored", "copies are served however long the record is away"),
    ("load_not_judged", "what the record answered is not judged by the view of afterwards"),
    ("position_after_row", "a copy's position is read after its row"),
    ("positions_before_commit", "positions of the feed are not in the order of commits"),
    ("wrote_ignored", "a node's own revocations bind it only when it hears of them"),
    ("lost_not_written_back", "what the record has lost is not written back"),
    ("kept_written_back", "what the record kept is written back too, however old it is"),
    ("fork_unseen", "a record that went back is taken for one that was pruned"),
    ("fork_forgets", "what was remembered is forgotten when the record goes back"),
    ("announcement_unheard", "what another node announces is not heard"),
    ("announcement_confirms", "what another node announces confirms the view"),
    ("upserting_touch", "noting a use brings an ended session back"),
];

/// Every mutant that takes tokens to be seen, with the rule that it breaks.
pub const TOKEN_MUTANTS: &[(&str, &str)] = &[
    ("carried_not_judged", "an access token is good by its signature"),
    (
        "untold_ignored",
        "an access token is good though its session ended without a word of the feed",
    ),
    ("exchange_not_judged", "what an exchange gives out is not judged by what this node knows"),
    ("reuse_ignored", "a token that was exchanged before is refused, and its session goes on"),
    ("superseded_is_good", "a token is exchanged again after its successor"),
    ("late_is_reuse", "an exchange that is late ends a session whose client has gone on"),
    ("lost_answer_is_reuse", "a client that asks again for a lost answer has stolen its token"),
    ("grace_never_ends", "a token is exchanged again however long ago it was exchanged first"),
    ("grace_in_record_time", "an outage of the record counts towards the grace"),
    ("exchange_of_the_ended", "a token is exchanged whatever became of its session and user"),
];

thread_local! {
    static BROKEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    static TAKEN: RefCell<Positions> = const { RefCell::new(Positions::new()) };
}

/// Positions that were taken and are not written yet.
struct Positions {
    waiting: BTreeSet<Position>,
    next: Option<Position>,
}

impl Positions {
    const fn new() -> Self {
        Self { waiting: BTreeSet::new(), next: None }
    }
}

/// Breaks a rule until it is dropped.
pub(crate) struct Broken;

impl Broken {
    pub(crate) fn only(rule: Option<&'static str>) -> Self {
        BROKEN.set(rule);
        TAKEN.replace(Positions::new());
        Self
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        BROKEN.set(None);
    }
}

/// Whether this rule is the broken one.
pub(crate) fn breaks(rule: &str) -> bool {
    BROKEN.get() == Some(rule)
}

/// Between two statements that should have been one.
pub(crate) async fn others_come_in_between() {
    tokio::time::sleep(Duration::from_millis(8)).await;
}

/// Takes the position after the head, before it is written.
pub(crate) fn take_position(head: Position) -> Position {
    let position = position_after(head);
    TAKEN.with_borrow_mut(|taken| taken.waiting.insert(position));
    position
}

/// The next row that is written has this position.
pub(crate) fn use_position(position: Position) {
    TAKEN.with_borrow_mut(|taken| {
        taken.waiting.remove(&position);
        taken.next = Some(position);
    });
}

/// The position of the next row: after the newest one and those that were taken.
pub(crate) fn position_after(newest: Position) -> Position {
    TAKEN.with_borrow_mut(|taken| {
        let latest = taken.waiting.last().map_or(newest, |last| newest.max(*last));
        taken.next.take().unwrap_or(Position(latest.0 + 1))
    })
}
