//! Mirrored users, intercepted.
//!
//! Apart from the other ports for the length of the file alone.

use nightlatch_core::{
    Deadline, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, StandingNote, StandingPage,
    StandingQuery, StoreResult, User, UserId, Written,
};

use super::InterceptedRecord;

impl MirrorStore for InterceptedRecord {
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>> {
        self.pass(("find_mirrored", deadline), move |record| record.find_mirrored(keys, deadline))
    }

    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.pass(("update_mirrored", deadline), move |record| {
            record.update_mirrored(update, deadline)
        })
    }

    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage> {
        self.pass(("list_standings", deadline), move |record| {
            record.list_standings(query, deadline)
        })
    }

    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>> {
        self.pass(("note_standings", deadline), move |record| record.note_standings(note, deadline))
    }
}
