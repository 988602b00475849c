//! What nodes tell each other over Redis.

use std::sync::Arc;

use nightlatch_core::{FailureClass, RecordClock, Secret, SessionEnd, SystemClock};
use nightlatch_store::cached::{Announcement, Announcements as _, News};
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;

use super::{Kept, LIMIT, history, options, session, token};

impl Kept {
    /// Tells the others until one of them has heard it.
    pub(super) async fn tells(&self, said: &Announcement, other: &Self) {
        wait_until("it is heard", LIMIT, async || {
            self.news.announce(said.clone());
            other.told.lock().expect("nobody panics with it").contains(said)
        })
        .await;
    }
}

pub(super) fn pending(token_of: u8) -> Announcement {
    let said_at = RecordClock::new(Arc::new(SystemClock)).now();
    let news = News::Pending(SessionEnd::Token(token(token_of)));
    Announcement { history: history(), said_at, news }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_tells_the_others_hear_after_a_restart_too() {
    let redis = RedisServer::launch();
    let [one, two] = [(); 2].map(|()| Kept::new(options(redis.port())));
    for node in [&one, &two] {
        node.hears(Ok(())).await;
    }
    one.tells(&pending(1), &two).await;
    redis.stop();
    two.hears(Err(FailureClass::Unreachable)).await;
    redis.start();
    one.tells(&pending(2), &two).await;
    two.tells(&pending(3), &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_say_on_the_channel_is_not_heard() {
    let redis = RedisServer::launch();
    let [one, two] = [(); 2].map(|()| Kept::new(options(redis.port())));
    for node in [&one, &two] {
        node.hears(Ok(())).await;
    }
    one.tells(&pending(1), &two).await;
    let (said, noise) = (pending(2), "n".repeat(10_000));
    for forged in ["", "{}", &noise] {
        redis.tell(&["PUBLISH", "nightlatch:news", forged]);
    }
    one.tells(&said, &two).await;
    let told = two.told.lock().expect("nobody panics with it");
    assert!(told.iter().all(|heard| [&pending(1).news, &said.news].contains(&&heard.news)));
    assert!(two.link.is_connected(), "anybody may say anything there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_a_right_to_the_channel_shares_copies_all_the_same() {
    let redis = RedisServer::launch();
    let rules = ["on", ">secret", "resetchannels", "~nightlatch:*", "+@all"];
    redis.tell(&[&["ACL", "SETUSER", "modest"], &rules[..]].concat());
    let mut options = options(redis.port());
    options.username = Some(Secret::new("modest".to_owned()));
    options.password = Some(Secret::new("secret".to_owned()));
    let kept = Kept::new(options);
    kept.hears(Ok(())).await;
    let listens = *kept.heard.listens.lock().expect("nobody panics with it");
    assert_eq!(listens, Some(Err(FailureClass::Forbidden)));
    kept.keeps(token(1), &session(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_twenty_megabytes_costs_the_connection_and_not_our_memory() {
    let redis = RedisServer::launch();
    let kept = Kept::new(options(redis.port()));
    kept.hears(Ok(())).await;
    let huge = "return redis.call('PUBLISH', 'nightlatch:news', string.rep('x', 20000000))";
    redis.tell(&["EVAL", huge, "0"]);
    kept.hears(Err(FailureClass::Protocol)).await;
    kept.hears(Ok(())).await;
}
