//! The port to what nodes tell each other beside the record.

use crate::SessionEnd;

/// Tells the other nodes at once what the record cannot be told yet. Nobody waits for it, and nothing
/// rests on its being heard.
pub trait Announcer: Send + Sync {
    /// A logout waits for the record. Who hears of it refuses the session, and tries, too.
    fn announce_pending(&self, end: SessionEnd);
}

/// Where there is nobody to be told.
impl Announcer for () {
    fn announce_pending(&self, _end: SessionEnd) {}
}
