//! Sessions of other applications, intercepted.
//!
//! Apart from the other ports for the length of the file alone.

use std::sync::Arc;

use nightlatch_core::{
    ApplicationSession, DataStore, Deadline, NewApplicationSession, SaveData, StoreResult,
    Timestamp, TokenHash, Written,
};

use super::InterceptedRecord;

impl DataStore for InterceptedRecord {
    fn create_data(
        &self,
        session: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>> {
        self.pass(("create_data", deadline), move |record| record.create_data(session, deadline))
    }

    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>> {
        self.pass(("find_data", deadline), move |record| record.find_data(token, now, deadline))
    }

    fn save_data(
        &self,
        save: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>> {
        self.pass(("save_data", deadline), move |record| record.save_data(save, deadline))
    }

    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        self.pass(("delete_data", deadline), move |record| record.delete_data(token, now, deadline))
    }
}
