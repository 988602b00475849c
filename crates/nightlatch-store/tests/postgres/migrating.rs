//! The schema is brought up once, by whoever comes first, and only what fits is served.

use nightlatch_core::{FailureClass, Outcome, RecordStore};
use nightlatch_testkit::postgres::PostgresServer;
use tokio::task::JoinSet;

use crate::support::{Fixture, create_user, open, options, soon};

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_that_start_at_once_apply_each_migration_once() {
    let server = PostgresServer::shared();
    let url = server.url(&server.create_database());
    let mut nodes = JoinSet::new();
    for _ in 0..4 {
        let node = open(&options(&url));
        nodes.spawn(async move { node.migrate(soon()).await.expect("migrating works") });
    }
    let applied: Vec<String> = nodes.join_all().await.into_iter().flatten().collect();
    assert_eq!(
        applied,
        [
            "0001_record",
            "0002_feed_news",
            "0003_nodes",
            "0004_tokens",
            "0005_mirrors",
            "0006_standings",
            "0007_audit_log",
            "0008_application_sessions",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_with_another_text_is_refused() {
    let fixture = Fixture::shared().await;
    let change = "UPDATE nightlatch.schema_migrations SET checksum = 'x'";
    fixture.server.sql(&fixture.database, change);
    let error = fixture.record.migrate(soon()).await.expect_err("the checksum differs");
    assert_eq!((error.class(), error.outcome()), (FailureClass::Schema, Outcome::NotApplied));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_served() {
    let fixture = Fixture::shared().await;
    let newer = "INSERT INTO nightlatch.schema_migrations VALUES (999, '0999_later', 'x', 0);
        ALTER TABLE nightlatch.users ADD COLUMN later text";
    fixture.server.sql(&fixture.database, newer);
    assert!(fixture.record.migrate(soon()).await.expect("it only added").is_empty());
    create_user(&fixture.record, "alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_create_nothing_serves_a_schema_that_is_there() {
    let fixture = Fixture::shared().await;
    let role = format!("reader_{}", fixture.database);
    let grants = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'x';
         GRANT USAGE ON SCHEMA nightlatch TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA nightlatch TO {role}"
    );
    fixture.server.sql(&fixture.database, &grants);
    let node = open(&options(&fixture.server.url_as(&role, "x", &fixture.database)));
    assert!(node.migrate(soon()).await.expect("nothing is to be done").is_empty());
    create_user(&node, "alice").await;

    let empty = fixture.server.create_database();
    let node = open(&options(&fixture.server.url_as(&role, "x", &empty)));
    let error = node.migrate(soon()).await.expect_err("it may create nothing");
    assert_eq!((error.class(), error.outcome()), (FailureClass::Forbidden, Outcome::NotApplied));
}
