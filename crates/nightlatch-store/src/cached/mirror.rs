//! Mirrored users, behind copies: whose words change is told to copies as any other change.

use nightlatch_core::{
    Deadline, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, StoreResult, User, Written,
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
}
