//! The pool as its callers see it: real threads, the system's clock, conditions instead of sleeps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use nightlatch_core::{SystemClock, SystemEntropy};
use nightlatch_testkit::wait::wait_until;

use super::*;

const THREADS: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

/// What the tests' own jobs are taken to take.
const BRIEF: Expected = Expected::Guessed(Duration::from_millis(20));

fn pool() -> HashPool {
    HashPool::start(Some(THREADS), Arc::new(SystemClock), Arc::new(SystemEntropy))
        .expect("two threads")
}

fn within(span: Duration) -> Deadline {
    Deadline::within(&SystemClock, span)
}

fn soon() -> Deadline {
    within(Duration::from_secs(30))
}

fn password(text: &str) -> Password {
    Password::try_new(text.to_owned()).expect("short")
}

fn stored(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

/// Keeps every thread of `pool` at work until the returned senders are dropped. For long tests of
/// a busy machine: the lifeguard may come to help, and is kept as well.
fn occupy(pool: &HashPool) -> Vec<mpsc::SyncSender<()>> {
    let mut gates = Vec::new();
    for _ in 0..THREADS.get() {
        let (gate, opened) = mpsc::sync_channel::<()>(1);
        let (ready, is_ready) = mpsc::sync_channel(1);
        let opened = Mutex::new(opened);
        let block = move |_: &mut Memory| {
            // Only the first is waited for.
            let _ready = ready.try_send(());
            // Ends with an error when the test drops its gate.
            let _opened = opened.lock().expect("not poisoned").recv();
        };
        let job = Arc::new(Background(block));
        let queued = Queued { job, expected: BRIEF, deadline: soon() };
        pool.shared.queue.push(queued, &SystemClock);
        is_ready.recv().expect("a thread takes it");
        gates.push(gate);
    }
    gates
}

#[tokio::test]
async fn new_hash_is_todays_and_verifies() {
    let pool = pool();
    let hash = pool.hash(password("correct horse"), soon()).await.expect("a hash");
    assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let other = pool.hash(password("correct horse"), soon()).await.expect("a hash");
    assert_ne!(hash.expose(), other.expose(), "every hash has a salt of its own");
    let right = pool.verify(password("correct horse"), Some(hash.clone()), soon()).await;
    assert_eq!(right, Ok(Verified::Yes { needs_upgrade: false }));
    let wrong = pool.verify(password("correct horsf"), Some(hash), soon()).await;
    assert_eq!(wrong, Ok(Verified::No));
}

#[tokio::test]
async fn unknown_unusable_and_unaffordable_hashes_are_no_within_a_second() {
    let pool = pool();
    let unaffordable = format!("$2b$31${}", ".".repeat(53));
    for hash in [None, Some(stored("!unusable")), Some(stored("")), Some(stored(&unaffordable))] {
        let began = SystemClock.boottime();
        assert_eq!(pool.verify(password("x"), hash, soon()).await, Ok(Verified::No));
        assert!(SystemClock.boottime().saturating_sub(began) < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn span_covers_the_dearest_kind_that_was_learned() {
    let pool = pool();
    let today = pool.failed_login_span();
    assert_eq!(today.as_millis() % 50, 0);
    // At least two million rounds of SHA-1 are dearer than one argon2id on any machine.
    let dear = HashKind("pbkdf2_sha1$4000000".to_owned());
    let damaged = HashKind("$2b$31".to_owned());
    pool.learn_kinds(vec![dear.clone(), damaged, HashKind("unusable".to_owned())]).await;
    let span = pool.failed_login_span();
    assert!(span > pool.shared.costs.of_today().span(), "{span:?}");
    assert!(
        span >= pool.shared.costs.of(&dear).span() && span.as_millis().is_multiple_of(50),
        "{span:?}"
    );
    assert!(!pool.shared.costs.wants(&dear));
}

#[tokio::test]
async fn full_pool_says_busy_at_once_and_when_to_come_back() {
    let pool = pool();
    let gates = occupy(&pool);
    assert_eq!(pool.busy_threads(), 2);
    let began = SystemClock.boottime();
    let answer = pool.verify(password("x"), None, within(Duration::from_millis(5))).await;
    assert!(matches!(answer, Err(HashError::Busy { retry_after }) if !retry_after.is_zero()));
    assert!(SystemClock.boottime().saturating_sub(began) < Duration::from_secs(1));
    drop(gates);
    assert_eq!(pool.verify(password("x"), None, soon()).await, Ok(Verified::No));
}

#[tokio::test]
async fn answer_does_not_wait_past_its_deadline() {
    let pool = pool();
    let _gates = occupy(&pool);
    let answer = pool.verify(password("x"), None, within(Duration::from_millis(500))).await;
    assert!(matches!(answer, Err(HashError::Busy { .. })));
}

#[tokio::test]
async fn work_of_a_caller_who_left_is_not_done() {
    let pool = pool();
    let gates = occupy(&pool);
    let (done, is_done) = mpsc::sync_channel(1);
    let left = pool.run(BRIEF, soon(), move |_| done.send(()).map_err(|_| HashError::Stopped));
    // Polled once, so that it stands in the queue, and dropped.
    tokio::select! {
        biased;
        _ = left => panic!("both threads are taken"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(pool.queue_len(), 1);
    drop(gates);
    assert_eq!(pool.verify(password("x"), None, soon()).await, Ok(Verified::No));
    // The queue is served in order, so its turn has come and gone.
    is_done.try_recv().expect_err("nobody waited for it");
}

#[tokio::test]
async fn panic_in_one_job_costs_its_caller_an_answer_and_the_pool_no_thread() {
    let pool = pool();
    for _ in 0..2 * THREADS.get() {
        let answer: Result<(), _> = pool.run(BRIEF, soon(), |_| panic!("on purpose")).await;
        assert!(matches!(answer, Err(HashError::Busy { .. })));
    }
    assert_eq!(pool.verify(password("x"), None, soon()).await, Ok(Verified::No));
}

#[tokio::test]
async fn stopped_pool_answers_stopped_and_has_no_threads() {
    let pool = pool();
    pool.stop();
    assert_eq!(pool.hash(password("x"), soon()).await, Err(HashError::Stopped));
    assert!(pool.threads.lock().unwrap().is_empty());
    pool.stop();
}

/// The scheduling policy of this process' threads whose name begins so; 0: normal, 5: idle
/// (sched(7); fields 2 and 41 of `/proc/PID/task/TID/stat`, proc(5)).
fn policies(name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux has it");
    let stats =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let policy = |stat: String| {
        let (before, after) = stat.rsplit_once(") ")?;
        before.split_once('(')?.1.starts_with(name).then_some(())?;
        after.split(' ').nth(41 - 3).map(str::to_owned)
    };
    stats.filter_map(policy).collect()
}

#[tokio::test]
async fn threads_give_way_to_everybody_and_the_lifeguard_to_nobody() {
    let _pool = pool();
    // Threads of other tests' pools are among them, some just begun.
    wait_until("every hashing thread is lowered", Duration::from_secs(30), async || {
        let (threads, lifeguards) = (policies("hash-0"), policies("hash-lifeguard"));
        !threads.is_empty() && threads.iter().all(|policy| policy == "5") && !lifeguards.is_empty()
    })
    .await;
    assert!(policies("hash-lifeguard").iter().all(|policy| policy == "0"));
}

#[tokio::test]
async fn lifeguard_answers_while_every_thread_is_kept() {
    let pool = pool();
    let hash = pool.hash(password("right"), soon()).await.expect("a hash");
    let (gate, opened) = mpsc::sync_channel::<()>(1);
    let opened = Arc::new(Mutex::new(opened));
    let [kept, ended] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    // On a busy machine the lifeguard may come to a job before any thread does: as many jobs as it
    // takes until every thread has one, and each is answered.
    wait_until("every thread is kept", Duration::from_secs(30), async || {
        let (opened, begun, ended) = (opened.clone(), kept.clone(), ended.clone());
        let answer = pool.run(Expected::Measured(Duration::from_millis(1)), soon(), move |_| {
            let thread = std::thread::current();
            if !thread.name().is_some_and(|name| name.starts_with("hash-lifeguard")) {
                begun.fetch_add(1, Ordering::SeqCst);
                let _opened = opened.lock().expect("not poisoned").recv();
                ended.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        assert_eq!(answer.await, Ok(()));
        kept.load(Ordering::SeqCst) == THREADS.get()
    })
    .await;
    let verified = pool.verify(password("right"), Some(hash), soon()).await;
    assert_eq!(verified, Ok(Verified::Yes { needs_upgrade: false }));
    assert_eq!(ended.load(Ordering::SeqCst), 0, "they are kept all the time");
    drop(gate);
    wait_until("they end", Duration::from_secs(30), async || pool.busy_threads() == 0).await;
    assert_eq!(ended.load(Ordering::SeqCst), THREADS.get(), "late answers go nowhere");
}

#[tokio::test]
async fn stop_does_not_wait_for_a_thread_that_makes_no_progress() {
    let pool = pool();
    let _gates = occupy(&pool);
    pool.stop();
    assert!(pool.threads.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_login_of_a_storm_ends_after_the_waits_it_was_told() {
    // A clock that jumps over the waits would hide the queue, so the hashes are real and few.
    let pool = Arc::new(pool());
    let hash = pool.hash(password("right"), soon()).await.expect("a hash");
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let (pool, hash) = (pool.clone(), hash.clone());
        logins.spawn(async move {
            let mut waits = 0;
            loop {
                let deadline = within(Duration::from_millis(500));
                match pool.verify(password("right"), Some(hash.clone()), deadline).await {
                    Ok(verified) => return (verified, waits),
                    Err(HashError::Busy { retry_after }) => {
                        waits += 1;
                        assert!(waits < 20, "never let in");
                        tokio::time::sleep(retry_after).await;
                    }
                    Err(HashError::Stopped) => panic!("nobody stopped it"),
                }
            }
        });
    }
    while let Some(login) = logins.join_next().await {
        let (verified, _waits) = login.expect("no panic");
        assert_eq!(verified, Verified::Yes { needs_upgrade: false });
    }
    assert_eq!(pool.queue_len(), 0);
}
