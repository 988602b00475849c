//! Cases about the failures that throttles keep and share.
//!
//! A node must hear of what others counted exactly once: missed, an attacker gets more tries;
//! heard twice, people get fewer.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Failure, FailureNews, FailurePosition, NodeId, ThrottleKey, ThrottleScope, Timestamp,
};

use super::Subject;
use super::fixture::{Fixture, HOUR, all_at_once, sweep_before};

/// Longer than others append while one listens, on a busy machine.
const LISTENING_SPAN: Duration = Duration::from_secs(30);

fn fresh(record: &Fixture) -> NodeId {
    NodeId::fresh(record.entropy(), record.now())
}

fn failure(digest: u8, at: Timestamp) -> Failure {
    Failure { key: ThrottleKey::new(ThrottleScope::Login, [digest; 16]), at }
}

async fn append(record: &Fixture, by: NodeId, failures: Vec<Failure>) {
    let answer = record.record().append_failures(by, failures, Vec::new(), record.deadline()).await;
    answer.expect("appending works");
}

async fn poll(record: &Fixture, by: NodeId, after: FailurePosition, limit: u32) -> FailureNews {
    let answer = record.record().poll_failures(by, after, limit, record.deadline()).await;
    answer.expect("polling works")
}

pub async fn a_node_hears_of_the_others_failures_and_not_of_its_own(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    let at = |n: u8| failure(n, record.now().before(u32::from(n) * Duration::from_mins(1)));
    let start = poll(&record, one, FailurePosition::default(), 10).await;
    assert_eq!((start.failures.len(), start.is_cut), (0, false));
    // Not in the order of their times: batches are late.
    append(&record, other, vec![at(1), at(2)]).await;
    append(&record, one, vec![at(3)]).await;
    append(&record, other, vec![at(4)]).await;
    let news = poll(&record, one, start.through, 10).await;
    assert_eq!((news.failures, news.is_cut), (vec![at(1), at(2), at(4)], false));
    let nothing = poll(&record, one, news.through, 10).await;
    assert_eq!((nothing.failures.len(), nothing.through), (0, news.through));
    let theirs = poll(&record, other, start.through, 10).await;
    assert_eq!((theirs.failures, theirs.through), (vec![at(3)], news.through));
}

pub async fn news_come_in_pieces_without_loss(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    for n in 0..5_u8 {
        append(&record, other, vec![failure(n, record.now())]).await;
        append(&record, one, vec![failure(100 + n, record.now())]).await;
    }
    let mut heard = Vec::new();
    let mut through = FailurePosition::default();
    for _ in 0..10 {
        let news = poll(&record, one, through, 2).await;
        assert!(news.failures.len() <= 2);
        heard.extend(news.failures);
        through = news.through;
        if !news.is_cut {
            break;
        }
    }
    let digests: Vec<u8> = heard.iter().map(|failure| failure.key.digest[0]).collect();
    assert_eq!(digests, [0, 1, 2, 3, 4]);
}

pub async fn what_is_loaded_at_start_is_not_heard_again(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    append(&record, other, vec![failure(1, record.now())]).await;
    let since = record.now().before(HOUR);
    let kept = record.record().list_failures(since, 10, record.deadline()).await;
    let kept = kept.expect("listing works");
    assert_eq!(kept.failures, [failure(1, record.now())]);
    append(&record, other, vec![failure(2, record.now())]).await;
    let news = poll(&record, one, kept.through, 10).await;
    assert_eq!(news.failures, [failure(2, record.now())]);
}

pub async fn a_place_beyond_the_end_leads_back_to_it(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    append(&record, other, vec![failure(1, record.now())]).await;
    let end = poll(&record, one, FailurePosition::default(), 10).await.through;
    let back = poll(&record, one, FailurePosition(end.0 + 100), 10).await;
    assert_eq!((back.failures.len(), back.through), (0, end));
    append(&record, other, vec![failure(2, record.now())]).await;
    assert_eq!(poll(&record, one, back.through, 10).await.failures.len(), 1);
}

pub async fn a_sweep_uses_no_place_twice(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    append(&record, other, vec![failure(1, record.now().before(2 * HOUR))]).await;
    let through = poll(&record, one, FailurePosition::default(), 10).await.through;
    let swept =
        record.record().sweep(sweep_before(record.now().before(HOUR)), 10, record.deadline()).await;
    assert_eq!(swept.expect("sweeping works").throttle_rows, 1);
    append(&record, other, vec![failure(2, record.now())]).await;
    assert_eq!(poll(&record, one, through, 10).await.failures, [failure(2, record.now())]);
}

pub async fn who_asks_for_news_is_told_how_many_live(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    let start = FailurePosition::default();
    assert_eq!(poll(&record, one, start, 10).await.live, 1);
    record.record().heartbeat(other, record.deadline()).await.expect("beating works");
    assert_eq!(poll(&record, one, start, 10).await.live, 2);
    assert_eq!(poll(&record, other, start, 10).await.live, 1);
}

/// However the others' appends overlap, who polls besides misses none and hears none twice.
pub async fn nothing_is_missed_or_heard_twice_while_many_append(subject: Subject) {
    let record = Arc::new(Fixture::over(subject).await);
    let listener = fresh(&record);
    let heard = all_at_once(&record, 9, move |record, caller| {
        Box::pin(async move {
            let mut heard: Vec<Failure> = Vec::new();
            let Ok(caller) = u8::try_from(caller) else { return heard };
            if caller > 0 {
                let by = fresh(&record);
                for n in 0..10_u8 {
                    let batch = vec![failure(caller, record.now()), failure(n, record.now())];
                    append(&record, by, batch).await;
                }
                return heard;
            }
            let mut through = FailurePosition::default();
            let end = record.wall().after(LISTENING_SPAN);
            while heard.len() < 8 * 10 * 2 && record.wall() < end {
                let news = poll(&record, listener, through, 1000).await;
                heard.extend(news.failures);
                through = news.through;
                tokio::task::yield_now().await;
            }
            let rest = poll(&record, listener, through, 1000).await;
            heard.extend(rest.failures);
            heard
        })
    })
    .await;
    assert_eq!(heard[0].len(), 8 * 10 * 2);
}
