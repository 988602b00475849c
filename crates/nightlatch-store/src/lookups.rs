//! Whether what requests stand on can be looked up, as the look-ups themselves have told.
//!
//! A record may answer a probe and none of its requests: a page of one table is damaged, or somebody
//! holds a lock on it. So each look-up of a session or of somebody who logs in is noted here. Those
//! that failed are asked again by the probe, never by a request: when nobody comes any more, because
//! the node says that it is unwell, it must still notice that it is well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nightlatch_core::{
    AddressPrefix, BoxFuture, Deadline, FailureClass, LoginName, LookupFailures, SessionStore,
    StoreResult, Timestamp, TokenHash, UserStore,
};

/// The look-ups of a record, by what they serve.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) sessions: Kind<TokenHash>,
    pub(crate) credentials: Kind<LoginName>,
}

impl Lookups {
    /// Asks again what failed, and tells what fails now. `record` must be the one that notes here.
    pub(crate) fn probe<'a, R: SessionStore + UserStore>(
        &'a self,
        record: &'a R,
        deadline: Deadline,
    ) -> BoxFuture<'a, LookupFailures> {
        let session = move |token| record.find_session(token, deadline);
        let credentials = move |name: LoginName| -> StoreResult<'a, _> {
            // From where, and when, makes no difference to whether it can be read.
            let (nowhere, never) = (AddressPrefix::of([0; 4].into()), Timestamp::from_micros(0));
            Box::pin(async move { record.find_credentials(&name, nowhere, never, deadline).await })
        };
        Box::pin(async move {
            let (sessions, credentials) = tokio::join!(
                self.sessions.ask_again(session),
                self.credentials.ask_again(credentials),
            );
            LookupFailures { sessions, credentials, some: sessions.or(credentials) }
        })
    }
}

/// Look-ups of one kind, by the keys of two of them.
#[derive(Debug)]
pub(crate) struct Kind<K>(Mutex<Noted<K>>);

#[derive(Debug)]
struct Noted<K> {
    /// What was found last.
    found: Option<K>,
    /// What could not be looked up, if nothing was found since.
    failed: Option<(K, FailureClass)>,
}

impl<K> Default for Kind<K> {
    fn default() -> Self {
        Self(Mutex::new(Noted { found: None, failed: None }))
    }
}

impl<K: Clone + PartialEq> Kind<K> {
    /// Notes what a look-up came to.
    pub(crate) fn note<T, E>(
        &self,
        key: K,
        answer: &Result<Option<T>, E>,
        class: impl FnOnce(&E) -> FailureClass,
    ) {
        let mut noted = self.lock();
        match answer {
            Ok(Some(_)) => *noted = Noted { found: Some(key), failed: None },
            // "Not there" needs fewer pages than "there", so it tells of nobody else.
            Ok(None) => {
                if noted.failed.as_ref().is_some_and(|(failed, _)| *failed == key) {
                    noted.failed = None;
                }
            }
            Err(error) => noted.failed = Some((key, class(error))),
        }
    }

    /// Why these look-ups fail; `None` if one has found something since one failed.
    async fn ask_again<'a, T>(
        &self,
        ask: impl Fn(K) -> StoreResult<'a, T>,
    ) -> Option<FailureClass> {
        for key in self.suspects() {
            // The look-up itself notes what it comes to.
            drop(ask(key).await);
            if self.failure().is_none() {
                break;
            }
        }
        self.failure()
    }

    /// What is worth asking again. What was found last comes first: if it still can be found, some
    /// requests are served, whatever happened to others.
    fn suspects(&self) -> Vec<K> {
        let noted = self.lock();
        let Some((failed, _)) = &noted.failed else { return Vec::new() };
        noted.found.iter().chain([failed]).cloned().collect()
    }

    fn failure(&self) -> Option<FailureClass> {
        self.lock().failed.as_ref().map(|(_, class)| *class)
    }

    fn lock(&self) -> MutexGuard<'_, Noted<K>> {
        // Plain values: whatever a panicking thread left is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use nightlatch_core::{Outcome, StoreError, StoreErrorKind};

    use super::*;

    /// A record in which some can be found, some cannot be read, and the others are not there.
    struct Table {
        kind: Kind<u8>,
        found: Vec<u8>,
        damaged: Vec<u8>,
        asked: RefCell<Vec<u8>>,
    }

    impl Table {
        fn look(&self, key: u8) -> Result<Option<()>, StoreError> {
            self.asked.borrow_mut().push(key);
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Corrupt);
            let answer = if self.damaged.contains(&key) {
                Err(StoreError::new(kind, class, Outcome::NotApplied, "looking"))
            } else {
                Ok(self.found.contains(&key).then_some(()))
            };
            self.kind.note(key, &answer, StoreError::class);
            answer
        }

        /// What fails, and which keys were asked again.
        async fn probe(&self) -> (Option<FailureClass>, Vec<u8>) {
            self.asked.borrow_mut().clear();
            let answers = self.kind.ask_again(|key| {
                let answer = self.look(key);
                Box::pin(async { answer })
            });
            (answers.await, self.asked.take())
        }
    }

    #[tokio::test]
    async fn only_what_failed_is_asked_again_and_one_that_is_found_is_enough() {
        const CORRUPT: Option<FailureClass> = Some(FailureClass::Corrupt);
        for (what, looked_up, found, damaged, fails, asked) in [
            ("all is well", vec![1, 2, 9], vec![1, 2], vec![], None, vec![]),
            ("one is found after another failed", vec![3, 1], vec![1], vec![3], None, vec![]),
            ("one failed, another can be found", vec![1, 3], vec![1], vec![3], None, vec![1]),
            ("one failed and nobody else came", vec![3], vec![1], vec![3], CORRUPT, vec![3]),
            ("who is not there proves nothing", vec![3, 9], vec![1], vec![3], CORRUPT, vec![3]),
        ] {
            let kind = Kind::default();
            let table = Table { kind, found, damaged, asked: RefCell::default() };
            for key in looked_up {
                drop(table.look(key));
            }
            assert_eq!(table.probe().await, (fails, asked), "{what}");
        }
    }

    #[tokio::test]
    async fn what_was_damaged_and_repaired_is_noticed_though_nobody_asks() {
        let (kind, asked) = (Kind::default(), RefCell::default());
        let mut table = Table { kind, found: vec![1, 2], damaged: vec![], asked };
        drop(table.look(1));
        table.damaged = vec![1, 2];
        drop(table.look(2));
        assert_eq!(table.probe().await, (Some(FailureClass::Corrupt), vec![1, 2]));
        table.damaged.clear();
        assert_eq!(table.probe().await.0, None);
        assert_eq!(table.probe().await, (None, vec![]));
    }
}
