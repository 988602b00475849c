//! Incident 3: the wrong `.env` was read, and session creation failed for reasons that nobody could see.

use std::fs;

use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;

use super::{doctor, health, is_told_down, lines, nobody_was_answered_500, says};
use crate::doctor::doctor_in;
use crate::metrics::becomes;
use crate::metrics::recorded::{FAULTY, Recording, WELL};
use crate::person::Person;
use crate::record::launch;

const REDIS_PASSWORD: &str = "sesame-of-production";
const SESSION_SECRET: &str = "sesame-iV3xW8pLq1Zs6TnYc4Rk9HbM2gUe";

/// What belongs here.
fn right(redis: &RedisServer) -> String {
    format!(
        "# production\nREDIS_HOST=127.0.0.1\nREDIS_PORT={}\nREDIS_PASSWORD={REDIS_PASSWORD}\n\
         SESSION_SECRET_KEY={SESSION_SECRET}\n",
        redis.port()
    )
}

/// Of somebody's laptop: a Redis that is not there, and none of the secrets.
fn wrong() -> String {
    format!("# laptop\nREDIS_HOST=127.0.0.1\nREDIS_PORT={}\n", free_port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_env_file() {
    let redis = RedisServer::launch_with(&[("requirepass", REDIS_PASSWORD)]);
    let launch = launch().with_file(".env.production", &right(&redis)).with_file(".env", &wrong());
    // As deployed: the file that belongs here is named.
    let good = launch.clone().with_flags(&["--env-file", ".env.production"]).ready().await;
    becomes(&good, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    let mut alice = Person::logged_in(&good, "alice").await;
    let mut recording = Recording::default();
    for _ in 0..WELL {
        alice.log_in().await;
        recording.add(&good).await;
    }
    let found = doctor(&good, &["env", "--env-file", ".env.production"]);
    assert_eq!(found.wrong().iter().filter(|id| id.starts_with("redis")).count(), 0);

    // As it came to be: nobody named one.
    let server = launch.ready().await;
    let mut bob = Person::logged_in(&server, "bob").await;
    is_told_down(&server, "redis", "unreachable").await;
    for _ in 0..FAULTY {
        bob.log_in().await;
        assert_eq!(bob.session().await.status, 200, "every session is made, and found again");
        recording.add(&server).await;
    }

    // Who operates it is told at the start which file was read, and which was not; and what came of it.
    let told = lines(&server, "config.env_files");
    let [told] = &told[..] else { panic!("{told:#?}") };
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains(".env.production not read") && message.contains("read: .env"),
        "{message}"
    );
    let configured: Vec<String> = lines(&server, "server.configured")
        .iter()
        .map(|line| line["message"].to_string())
        .collect();
    for part in ["files read: .env", "REDIS_HOST", "SESSION_SECRET_KEY not set"] {
        assert!(configured.iter().any(|line| line.contains(part)), "{part}: {configured:#?}");
    }
    let down = is_told_down(&server, "redis", "unreachable").await;
    assert_eq!(down["finding"], "redis-unreachable");
    let health_now = health(&server).await;
    assert_eq!(
        (&health_now["status"], &health_now["cache"]),
        (&"degraded".into(), &"error: unreachable".into())
    );
    nobody_was_answered_500(&server).await;
    recording.check(&["NightlatchRedisDown", "NightlatchBreakerOpen"]);

    // Doctor says it of the file and of the line, and of the other file that it is the right one.
    let found = doctor(&server, &["all", "--strict"]);
    assert!(found.wrong().contains(&"redis-unreachable"), "{:#?}", found.findings);
    assert_eq!(found.code, Some(1));
    let unreachable = found.find("redis-unreachable");
    assert_eq!((&unreachable["source"], &unreachable["line"]), (&".env".into(), &2.into()));
    let found = doctor(&server, &["redis", "--env-file", ".env.production"]);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    assert!(!server.log().contains("sesame"), "{}", server.log());
}

/// In production it does not get so far: nothing starts without its secrets, and all that is missing is named.
#[test]
fn production_does_not_start_by_the_wrong_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(".env"), wrong()).expect("our folder takes a file");
    let secret = format!("SESSION_SECRET_KEY={SESSION_SECRET}\n");
    fs::write(folder.path().join(".env.production"), secret).expect("our folder takes a file");
    let launch = launch().set("ENVIRONMENT", "production");
    let refused = launch.command(folder.path(), &["serve"]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    for part in ["SESSION_SECRET_KEY", "PUBLIC_URL", ".env.production"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("sesame"), "{said}");
    let written = format!("ENVIRONMENT=production\nNIGHTLATCH_LISTEN=127.0.0.1:8080\n{}", wrong());
    fs::write(folder.path().join(".env"), written).expect("our folder takes a file");
    let found = doctor_in(folder.path(), &["env", "--env-file", ".env"]);
    assert_eq!(found.code, Some(1));
    let missing: Vec<_> =
        found.findings.iter().filter(|finding| finding["id"] == "setting-missing").collect();
    assert_eq!(missing.len(), 2, "{missing:#?}");
    assert!(says(&found, "setting-missing", "fix").contains('='), "{missing:#?}");
}
