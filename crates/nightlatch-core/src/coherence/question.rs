//! What the rule wants to know of the record, and what an answer meant.

use crate::{AsOf, History, Position};

/// What the driver is to ask the record next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where the feed ends: there is no view to go on from.
    Head,
    /// What came after this row.
    Rows(AsOf),
    /// History has forked: begin a new epoch, unless somebody else has.
    NewEpoch(History),
    /// The rows of the new history after this position, to see what it has lost.
    Compare(Position),
}

/// What an answer of the record changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The view is not at the end of the feed yet, or there is another question: ask at once.
    pub ask_again: bool,
    /// History has forked: every copy is void, and what is remembered must be written back.
    pub forked: bool,
    /// Every copy is void: it is of no use to keep them.
    pub copies_are_void: bool,
}
