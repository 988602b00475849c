//! The tasks of all machines: of those that could go on, the next is drawn from the seed.
//!
//! The runtime's own scheduler would go by who was woken first, and its channels wake in an order of
//! their own chance. Here nothing but the seed decides, so that a run can be repeated; and it decides
//! anew at every step, so that many orders are seen. A machine that is suspended has tasks that could
//! go on, and do not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use nightlatch_core::BoxFuture;

use crate::entropy::Rng;
use crate::history::NodeId;

/// All tasks.
pub(crate) struct Tasks {
    by_number: BTreeMap<u64, Task>,
    next: u64,
    woken: Arc<Woken>,
    suspended: BTreeSet<NodeId>,
    rng: Rng,
}

struct Task {
    machine: NodeId,
    future: BoxFuture<'static, ()>,
    waker: Waker,
}

/// Who could go on, and who is to be told of it.
#[derive(Default)]
struct Woken(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    numbers: BTreeSet<u64>,
    runtime: Option<Waker>,
}

struct Alarm {
    number: u64,
    woken: Arc<Woken>,
}

impl Tasks {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            by_number: BTreeMap::new(),
            next: 0,
            woken: Arc::default(),
            suspended: BTreeSet::new(),
            rng,
        }
    }

    /// Begins a task on a machine.
    pub(crate) fn begin(
        &mut self,
        machine: NodeId,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let number = self.next;
        self.next += 1;
        let waker = Waker::from(Arc::new(Alarm { number, woken: Arc::clone(&self.woken) }));
        waker.wake_by_ref();
        self.by_number.insert(number, Task { machine, future: Box::pin(task), waker });
    }

    /// Ends all tasks of a machine in the middle of what they do.
    pub(crate) fn kill(&mut self, machine: NodeId) {
        self.by_number.retain(|_, task| task.machine != machine);
    }

    pub(crate) fn suspend(&mut self, machine: NodeId) {
        self.suspended.insert(machine);
    }

    pub(crate) fn resume(&mut self, machine: NodeId) {
        self.suspended.remove(&machine);
    }

    /// Lets them go on until all of them wait.
    pub(crate) fn poll(&mut self, context: &Context<'_>) {
        self.woken.waiting().runtime = Some(context.waker().clone());
        while let Some(number) = self.draw() {
            let Some(task) = self.by_number.get_mut(&number) else { continue };
            let mut context = Context::from_waker(&task.waker);
            if let Poll::Ready(()) = task.future.as_mut().poll(&mut context) {
                self.by_number.remove(&number);
            }
        }
    }

    /// One of those that could go on on a machine that runs.
    fn draw(&mut self) -> Option<u64> {
        let mut waiting = self.woken.waiting();
        let can_go_on = |number: &u64| {
            self.by_number.get(number).is_none_or(|task| !self.suspended.contains(&task.machine))
        };
        let numbers: Vec<u64> = waiting.numbers.iter().copied().filter(can_go_on).collect();
        let number = self.rng.pick(&numbers)?;
        waiting.numbers.remove(&number);
        Some(number)
    }
}

impl Woken {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let runtime = {
            let mut waiting = self.woken.waiting();
            waiting.numbers.insert(self.number);
            waiting.runtime.clone()
        };
        if let Some(runtime) = runtime {
            runtime.wake();
        }
    }
}
