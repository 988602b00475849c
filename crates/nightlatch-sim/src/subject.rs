//! What is simulated: the shipped sources, or their copies in which one rule can be broken.
//!
//! Both have the same modules, so one macro joins either to the world. What the world holds
//! afterwards are ports.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Announcer, BoxFuture, Clock, Entropy, Record, RecordClock, SessionEnd};
use tokio::sync::watch;

use crate::accelerator::{Accelerator, Told};
use crate::history::NodeId;

/// The sources that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// As they ship.
    Shipped,
    /// Their copies, with the rule of this name broken; `None`: with none.
    Copied(Option<&'static str>),
}

/// The record that all nodes share.
pub(crate) struct SharedRecord {
    pub(crate) record: Arc<dyn Record>,
    pub(crate) back_up: Box<dyn Fn() -> Restore>,
}

/// Puts the record back to where it was backed up, as often as it is called.
pub(crate) type Restore = Box<dyn Fn()>;

/// What a node's record is made of.
pub(crate) struct NodeParts {
    /// The shared record behind the node's wire.
    pub(crate) record: Arc<dyn Record>,
    pub(crate) clock: Arc<RecordClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) staleness: Duration,
    pub(crate) remembered_max: usize,
    /// Where nodes share copies and news, and who this node is there.
    pub(crate) accelerator: Option<(NodeId, Arc<Accelerator>)>,
}

/// A node's record: copies in front of the shared one.
pub(crate) struct NodeRecord {
    pub(crate) record: Arc<dyn Record>,
    pub(crate) announcer: Arc<dyn Announcer>,
    /// Takes what another node has told; a logout that waits is handed on.
    pub(crate) hear: Box<dyn Fn(Told) -> Option<SessionEnd> + Send + Sync>,
    /// Follows the feed until it is dropped.
    pub(crate) following: BoxFuture<'static, ()>,
    /// Whether the record has answered that once, and so told the time.
    pub(crate) has_looked: watch::Receiver<bool>,
}

impl Subject {
    pub(crate) fn shared_record(
        self,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> SharedRecord {
        match self {
            Self::Shipped => shipped::shared_record(clock, entropy),
            Self::Copied(_) => copied::shared_record(clock, entropy),
        }
    }

    pub(crate) fn node_record(self, parts: NodeParts) -> NodeRecord {
        match self {
            Self::Shipped => shipped::node_record(parts),
            Self::Copied(_) => copied::node_record(parts),
        }
    }
}

/// Room for more copies than a run has sessions.
const COPIES_BYTES_MAX: u64 = 16 * 1024 * 1024;

macro_rules! subject {
    ($name:ident, $($store:ident)::+, $($core:ident)::+) => {
        mod $name {
            use std::sync::Arc;

            use std::time::Duration;

            use nightlatch_core::{
                Announcer, BoxFuture, Clock, Entropy, FoundSession, History, Record, RecordClock,
                Timestamp, TokenHash,
            };
            use $($core)::+::coherence::CoherenceLimits;
            use $($store)::+::cached::{
                Announcement, Announcements, CachedRecord, Look, LookObserver, News, SharedCopies,
                SharedCopy,
            };
            use $($store)::+::memory::MemoryRecord;
            use tokio::sync::watch;

            use super::{COPIES_BYTES_MAX, NodeParts, NodeRecord, Restore, SharedRecord};
            use crate::accelerator::{Accelerator, KeptCopy, Told, ToldNews};
            use crate::history::NodeId;

            pub(super) fn shared_record(
                clock: Arc<dyn Clock>,
                entropy: Arc<dyn Entropy>,
            ) -> SharedRecord {
                let memory = Arc::new(MemoryRecord::new(clock, entropy));
                let record = Arc::clone(&memory) as Arc<dyn Record>;
                let back_up = Box::new(move || {
                    let (memory, snapshot) = (Arc::clone(&memory), memory.snapshot());
                    Box::new(move || memory.restore(&snapshot)) as Restore
                });
                SharedRecord { record, back_up }
            }

            pub(super) fn node_record(parts: NodeParts) -> NodeRecord {
                let NodeParts { record, clock, entropy, staleness, .. } = parts;
                let (remembered_max, accelerator) = (parts.remembered_max, parts.accelerator);
                let mut limits = CoherenceLimits::new(staleness);
                limits.remembered_max = remembered_max;
                let (looks, has_looked) = watch::channel(false);
                let observer = Observer { clock: Arc::clone(&clock), looks };
                let cached =
                    Arc::new(CachedRecord::new(record, clock, entropy, (limits, COPIES_BYTES_MAX)));
                if let Some((node, accelerator)) = accelerator {
                    let way = Arc::new(Way { node, accelerator });
                    cached.share(Arc::clone(&way) as _);
                    cached.announce_by(way);
                }
                let record = Arc::clone(&cached) as Arc<dyn Record>;
                let announcer = Arc::clone(&cached) as Arc<dyn Announcer>;
                let hearing = Arc::clone(&cached);
                let hear = Box::new(move |Told { history, said_at, news }| {
                    let news = match news {
                        ToldNews::Ended(rows) => News::Ended(rows),
                        ToldNews::Pending(end) => News::Pending(end),
                    };
                    hearing.hear(&Announcement { history, said_at, news })
                });
                let following = Box::pin(async move { cached.tail(&observer).await });
                NodeRecord { record, announcer, hear, following, has_looked }
            }

            /// How a node reaches the accelerator.
            struct Way {
                node: NodeId,
                accelerator: Arc<Accelerator>,
            }

            impl SharedCopies for Way {
                fn find(
                    &self,
                    token: TokenHash,
                    history: History,
                    _limit: Duration,
                ) -> BoxFuture<'_, Option<SharedCopy>> {
                    Box::pin(async move {
                        let copy = self.accelerator.find(token, history).await?;
                        Some(SharedCopy { found: copy.found, read_at: copy.read_at })
                    })
                }

                fn keep(&self, token: TokenHash, found: &Arc<FoundSession>, read_at: Timestamp) {
                    let copy = KeptCopy { found: Arc::clone(found), read_at };
                    self.accelerator.keep(token, &copy);
                }
            }

            impl Announcements for Way {
                fn announce(&self, said: Announcement) {
                    let Announcement { history, said_at, news } = said;
                    let news = match news {
                        News::Ended(rows) => ToldNews::Ended(rows),
                        News::Pending(end) => ToldNews::Pending(end),
                    };
                    self.accelerator.tell(self.node, &Told { history, said_at, news });
                }
            }

            /// Follows the record's clock, as the server's health does.
            struct Observer {
                clock: Arc<RecordClock>,
                looks: watch::Sender<bool>,
            }

            impl LookObserver for Observer {
                fn looked(&self, look: &Look<'_>) {
                    if let Ok(news) = look.answer {
                        self.clock.observe(news.now, look.asked, look.answered);
                        self.looks.send_replace(true);
                    }
                }
            }
        }
    };
}

subject!(shipped, nightlatch_store, nightlatch_core);
subject!(copied, crate::copied, crate::copied);
