//! What the trait of tower-sessions says, and what it leaves to its stores.

use std::time::Duration;

use nightlatch_core::SessionData;
use nightlatch_testkit::wait::wait_until;
use time::OffsetDateTime;
use tower_sessions::session::Id;
use tower_sessions::{SessionStore as _, session_store};

use super::{fresh, in_an_hour, in_memory, session, sqlite, start};

/// A revocation reaches every other node within so much, at most.
const S: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_loaded_as_it_was_created_and_saved() {
    let (store, _folder) = fresh().await;
    let mut first = session("one");
    store.create(&mut first).await.expect("it works");
    assert_eq!(store.load(&first.id).await.expect("it works").as_ref(), Some(&first));
    first.data.insert("text".to_owned(), "Grüße".into());
    first.data.remove("one");
    first.expiry_date += time::Duration::hours(1);
    store.save(&first).await.expect("it works");
    assert_eq!(store.load(&first.id).await.expect("it works"), Some(first), "as a whole");
    assert_eq!(store.load(&Id::default()).await.expect("it works"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_with_one_id_the_second_gets_another() {
    let (store, _folder) = fresh().await;
    let mut first = session("hers");
    store.create(&mut first).await.expect("it works");
    let mut second = session("his");
    second.id = first.id;
    store.create(&mut second).await.expect("it works");
    assert_ne!(first.id, second.id);
    assert_eq!(store.load(&first.id).await.expect("it works"), Some(first));
    assert_eq!(store.load(&second.id).await.expect("it works"), Some(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_no_save_brings_back() {
    let (store, _folder) = fresh().await;
    let mut deleted = session("cart");
    store.create(&mut deleted).await.expect("it works");
    store.delete(&deleted.id).await.expect("it works");
    let mut expired = session("cart");
    expired.expiry_date = OffsetDateTime::now_utc() - time::Duration::seconds(3);
    store.create(&mut expired).await.expect("it works");
    assert_eq!(store.load(&expired.id).await.expect("it works"), None);
    for mut ended in [deleted, expired, session("never created")] {
        ended.expiry_date = in_an_hour();
        store.save(&ended).await.expect("it works");
        assert_eq!(store.load(&ended.id).await.expect("it works"), None);
        store.delete(&ended.id).await.expect("it works");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_lets_a_session_end_now_ends_it() {
    let (store, _folder) = fresh().await;
    let mut short = session("cart");
    store.create(&mut short).await.expect("it works");
    short.expiry_date = OffsetDateTime::now_utc() - time::Duration::seconds(3);
    store.save(&short).await.expect("it works");
    assert_eq!(store.load(&short.id).await.expect("it works"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_data_are_refused_and_leave_what_was() {
    let (store, _folder) = fresh().await;
    let mut kept = session("small");
    store.create(&mut kept).await.expect("it works");
    let mut large = kept.clone();
    large.data.insert("upload".to_owned(), "x".repeat(SessionData::BYTES_MAX).into());
    let refused = store.save(&large).await.unwrap_err();
    assert!(matches!(refused, session_store::Error::Encode(_)), "{refused}");
    assert!(matches!(store.create(&mut large).await, Err(session_store::Error::Encode(_))));
    assert_eq!(store.load(&kept.id).await.expect("it works"), Some(kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_knows_no_id_and_nothing_prints_one() {
    let (store, folder) = fresh().await;
    let mut opened = session("cart");
    store.create(&mut opened).await.expect("it works");
    let id = opened.id.0.to_le_bytes();
    let mut bytes = 0;
    for file in folder.path().read_dir().expect("it works") {
        let written = std::fs::read(file.expect("it works").path()).expect("it works");
        bytes += written.len();
        assert!(!written.windows(id.len()).any(|window| window == id), "the id itself");
    }
    assert!(bytes > 0);
    assert_eq!(format!("{store:?}"), "NightlatchStore { .. }");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_does_another_knows_within_two_seconds() {
    let (one, folder) = fresh().await;
    let other = start(sqlite(&folder.path().join("sessions.db")));
    let mut shared = session("one");
    one.create(&mut shared).await.expect("it works");
    assert_eq!(other.load(&shared.id).await.expect("it works").as_ref(), Some(&shared));
    shared.data.insert("more".to_owned(), true.into());
    one.save(&shared).await.expect("it works");
    wait_until("the other node reads it again", S, async || {
        other.load(&shared.id).await.expect("it works").as_ref() == Some(&shared)
    })
    .await;
    other.delete(&shared.id).await.expect("it works");
    assert_eq!(
        other.load(&shared.id).await.expect("it works"),
        None,
        "at once where it was deleted"
    );
    wait_until("it has ended on the first node", S, async || {
        one.load(&shared.id).await.expect("it works").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_another_node_has_put_off_is_no_end() {
    let record = in_memory();
    let (one, other) = (start(record.clone()), start(record));
    let mut short = session("cart");
    short.expiry_date = OffsetDateTime::now_utc() + time::Duration::milliseconds(1500);
    let first_end = short.expiry_date;
    one.create(&mut short).await.expect("it works");
    assert!(other.load(&short.id).await.expect("it works").is_some());
    short.expiry_date = in_an_hour();
    one.save(&short).await.expect("it works");
    wait_until("its first end has passed", S * 2, async || {
        let loaded = other.load(&short.id).await.expect("it works");
        assert!(loaded.is_some(), "signed out by a copy");
        OffsetDateTime::now_utc() > first_end + time::Duration::milliseconds(200)
    })
    .await;
}
