//! Mirrored users, behind copies: whose words change is told to copies as any other change.

use nightlatch_core::{
    Deadline, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, StandingNote, StandingPage,
    StandingQuery, StoreResult, User, UserId, Written,
};

use super::CachedRecord;

impl MirrorStore for CachedRecord {
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>> {
        self.record.find_mirrored(keys, deadline)
    }

    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let updated = self.record.update_mirrored(update, deadline).await?;
            Ok(updated.map(|updated| self.wrote(updated)))
        })
    }

    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage> {
        self.record.list_standings(query, deadline)
    }

    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>> {
        self.record.note_standings(note, deadline)
    }
}
