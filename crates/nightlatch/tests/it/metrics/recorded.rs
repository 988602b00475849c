//! Alerts over what a running server tells: names, labels and values are those that it really has.
//!
//! What is scraped within seconds is told to promtool as if half a minute lay between two scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::json;

use super::alerts::{folder, promtool};
use super::scrape::{Scrape, Series};
use super::{becomes, with_redis};
use crate::person::{PASSWORD, Person};
use crate::record::launch;

/// Scrapes of a server that is well, and then of one that is not.
const WELL: usize = 10;
const FAULTY: usize = 24;

/// The values of each series, scrape by scrape.
#[derive(Default)]
struct Recording {
    scrapes: usize,
    series: BTreeMap<String, Vec<Option<f64>>>,
}

impl Recording {
    async fn add(&mut self, server: &NightlatchServer) {
        let told = Scrape::of(&mut server.client()).await;
        for Series { name, labels, value } in told.series {
            let labels = labels.iter().fold(String::new(), |mut text, (label, value)| {
                write!(text, "{label}=\"{value}\",").expect("a string takes all");
                text
            });
            let name = format!("{name}{{{labels}job=\"nightlatch\",instance=\"a\"}}");
            let values = self.series.entry(name).or_default();
            values.resize(self.scrapes, None);
            values.push(Some(value));
        }
        self.scrapes += 1;
    }

    /// Which alerts fire, and no others, at the last scrape of the well server and at the last of all.
    fn check(&self, at_the_end: &[&str]) {
        let mut test = format!(
            "rule_files:\n  - {}\nevaluation_interval: 30s\ntests:\n  - interval: 30s\n    input_series:\n",
            folder().join("alerts.yml").display()
        );
        for (name, values) in &self.series {
            let mut values = values.clone();
            values.resize(self.scrapes, None);
            let values: Vec<String> = values
                .iter()
                .map(|value| value.map_or("_".to_owned(), |it| it.to_string()))
                .collect();
            let values = values.join(" ");
            writeln!(test, "      - series: '{name}'\n        values: '{values}'")
                .expect("as above");
        }
        test += "    promql_expr_test:\n";
        for (scrapes, alerts) in [(WELL, &[][..]), (self.scrapes, at_the_end)] {
            let seconds = (scrapes - 1) * 30;
            writeln!(
                test,
                "      - expr: count by (alertname) (ALERTS{{alertstate=\"firing\"}})\n        eval_time: {seconds}s\n        exp_samples: [{}]",
                alerts
                    .iter()
                    .map(|name| format!("{{labels: '{{alertname=\"{name}\"}}', value: 1}}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
            .expect("as above");
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("recorded.yml"), test).expect("a file");
        promtool(&["test", "rules", "recorded.yml"], folder.path());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_redis_is_a_ticket_and_nothing_more() {
    let redis = RedisServer::launch();
    let server = with_redis(launch(), &redis).set("THROTTLE_ACCOUNT", "1000/m").ready().await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let mut recording = Recording::default();
    for _ in 0..WELL {
        alice.log_in().await;
        assert_eq!(alice.session().await.status, 200);
        recording.add(&server).await;
    }
    redis.kill_9();
    becomes(&server, r#"nightlatch_breaker_state{dependency="redis"}"#, |open| open == 1).await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 0).await;
    for _ in 0..FAULTY {
        alice.log_in().await;
        assert_eq!(alice.session().await.status, 200);
        recording.add(&server).await;
    }
    recording.check(&["NightlatchRedisDown", "NightlatchBreakerOpen"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auth_service_that_refuses_us_calls_somebody() {
    let service = FakeAuthService::start().await;
    service.knows_user("alice", PASSWORD);
    let server = launch()
        .set("AUTH_SERVICE_URL", &service.url())
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", SERVICE_SECRET)
        .ready()
        .await;
    let login = json!({ "username": "alice", "password": PASSWORD });
    let mut client = server.client();
    let mut recording = Recording::default();
    for _ in 0..WELL {
        assert_eq!(client.post_json("/api/v1/auth/login", &login).await.status, 200);
        recording.add(&server).await;
    }
    service.set(Conduct::answers(403, "{}"));
    for _ in 0..FAULTY {
        let answer = client.post_json("/api/v1/auth/login", &login).await;
        assert_eq!(answer.code(), "upstream_service_credentials");
        recording.add(&server).await;
    }
    recording.check(&[
        "NightlatchLoginsFail",
        "NightlatchAuthServiceDown",
        "NightlatchServiceCredentialsRefused",
    ]);
}
