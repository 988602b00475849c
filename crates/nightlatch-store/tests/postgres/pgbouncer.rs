//! Behind a pool in transaction mode every statement may meet another connection.

use nightlatch_core::{FeedStore, RecordStore, SessionEnd, SessionStore};
use nightlatch_testkit::pgbouncer::PgBouncer;
use nightlatch_testkit::postgres::PostgresServer;
use tokio::task::JoinSet;

use crate::support::{create_user, end, find, login, now, open, options, soon};

#[tokio::test(flavor = "multi_thread")]
async fn the_record_works_through_a_transaction_pool_smaller_than_its_own() {
    let server = PostgresServer::shared();
    let pool = PgBouncer::launch(&server, 2);
    let url = format!("{}?pgbouncer=true", pool.url(&server.create_database()));
    let record = open(&options(&url));
    record.migrate(soon()).await.expect("migrating works");
    let user = create_user(&record, "alice").await;
    let mut nodes = JoinSet::new();
    for _ in 0..12 {
        let (node, user) = (open(&options(&url)), user.clone());
        nodes.spawn(async move {
            for _ in 0..10 {
                let (id, token) = login(&node, &user).await;
                assert_eq!(find(&node, token).await.map(|found| found.session.id), Some(id));
                assert_eq!(end(&node, SessionEnd::One(id)).await.expect("it answers"), 1);
                assert_eq!(find(&node, token).await, None);
            }
        });
    }
    nodes.join_all().await;
    let head = record.probe(soon()).await.expect("it answers").head;
    assert_eq!(head.newest.position.0, 1 + 12 * 10);
    let left = record.list_sessions(user.id, now(), 10, soon()).await.expect("it answers");
    assert_eq!(left, []);
}
