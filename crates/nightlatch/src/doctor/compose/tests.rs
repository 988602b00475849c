//! Compose files from real life, beside a `.env`.

use std::fs;

use proptest::prelude::*;

use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::env::examine_env_file;
use crate::doctor::finding::Finding;
use crate::doctor::machine::Machine;

/// In every password here, and in nothing that is shown.
const MARK: &str = "hunter2";

const DOCUMENT: &str = include_str!("../../../../../docs/findings.md");

/// An application that is given the `.env`, and the Redis of the case.
const APP: &str = "services:\n  web:\n    build: .\n    env_file: .env\n";

fn examined(env: &str, compose: &str) -> Vec<Finding> {
    examined_with(&[(".env", env), ("compose.yaml", compose)])
}

fn examined_with(files: &[(&str, &str)]) -> Vec<Finding> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("our folder takes a file");
    }
    let found =
        examine_env_file(&folder.path().join(files[0].0), false, &Machine::at(folder.path()));
    let diagnosis = Diagnosis::of(found);
    for finding in diagnosis.findings() {
        let shown = format!("{finding:?}");
        assert!(!shown.contains(MARK), "a secret is shown: {shown}");
        let heading = format!("\n## {}\n", finding.id);
        assert!(DOCUMENT.contains(&heading), "docs/findings.md has no {}", finding.id);
    }
    diagnosis.findings().to_vec()
}

/// `.env`, the Redis of the compose file behind [`APP`], and what is to be said.
const MISTAKES: &[(&str, &str, &str)] = &[
    // Passwords.
    (
        "REDIS_URL=redis://redis:6379/0",
        "  redis:\n    image: redis:7\n    command: redis-server --requirepass hunter2\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://:hunter22@redis:6379/0",
        "  redis:\n    image: redis:7\n    command: redis-server --requirepass hunter2\n",
        "compose-password-differs",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis:7-alpine\n",
        "compose-password-needless",
    ),
    (
        "REDIS_URL=redis://redis/0\nREDIS_PW=hunter2",
        "  redis:\n    image: redis\n    command: [\"redis-server\", \"--requirepass\", \"${REDIS_PW}\"]\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://redis/0",
        "  redis:\n    image: redis\n    command: redis-server --requirepass ${PW:-hunter2}\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://redis/0",
        "  redis:\n    image: docker.io/library/redis:7@sha256:abc\n    command: --requirepass hunter2\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://redis/0\nPW=hunter2",
        "  redis:\n    image: valkey/valkey:8\n    environment:\n      - PW\n    command: sh -c 'exec valkey-server --requirepass \"$$PW\"'\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://redis/0",
        "  redis:\n    image: redis\n    command:\n      - redis-server\n      - --requirepass hunter2\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://redis/0",
        "  redis:\n    image: bitnami/redis:7.2\n    environment:\n      REDIS_PASSWORD: hunter2\n",
        "compose-password-missing",
    ),
    (
        "REDIS_URL=redis://:hunter22@redis/0",
        "  redis:\n    image: bitnami/redis:7.2\n    environment:\n      - REDIS_PASSWORD=hunter2\n",
        "compose-password-differs",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis/0",
        "  redis:\n    image: bitnami/redis\n    environment:\n      - ALLOW_EMPTY_PASSWORD=yes\n",
        "compose-password-needless",
    ),
    (
        "REDIS_URL=redis://redis/0",
        "  redis:\n    image: bitnami/valkey\n    environment:\n      VALKEY_PASSWORD: hunter2\n",
        "compose-password-missing",
    ),
    (
        "CELERY_BROKER_URL=redis://redis:6379/1",
        "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n",
        "compose-password-missing",
    ),
    // Host, port and password apart.
    (
        "REDIS_HOST=redis\nREDIS_PORT=6379",
        "  redis:\n    image: redis:7\n    command: redis-server --requirepass hunter2\n",
        "compose-password-missing",
    ),
    (
        "REDIS_HOST=redis\nREDIS_PASSWORD=hunter22",
        "  redis:\n    image: redis:7\n    command: redis-server --requirepass hunter2\n",
        "compose-password-differs",
    ),
    (
        "CACHE_REDIS_HOST=redis\nCACHE_REDIS_PORT=6379\nCACHE_REDIS_PASSWORD=hunter2",
        "  redis:\n    image: redis:7\n",
        "compose-password-needless",
    ),
    (
        "REDIS_HOST=redis\nREDIS_PORT=6380",
        "  redis:\n    image: redis:7\n    ports: ['6380:6379']\n",
        "compose-port",
    ),
    ("REDIS_HOST=redis\nREDIS_PORT=7000", "  redis:\n    image: redis:7\n", "compose-port"),
    (
        "A=b",
        "    environment:\n      REDIS_HOST: redis\n      REDIS_PORT: 6380\n  redis:\n    image: redis:7\n    ports: ['6380:6379']\n",
        "compose-port",
    ),
    // Ports.
    (
        "REDIS_URL=redis://redis:6380/0",
        "  redis:\n    image: redis\n    ports:\n      - \"6380:6379\"\n",
        "compose-port",
    ),
    (
        "REDIS_URL=redis://redis:6380/0",
        "  redis:\n    image: redis\n    ports:\n      - \"127.0.0.1:6380:6379/tcp\"\n",
        "compose-port",
    ),
    (
        "REDIS_URL=redis://redis:16379/0",
        "  redis:\n    image: redis\n    ports:\n      - target: 6379\n        published: \"16379\"\n",
        "compose-port",
    ),
    (
        "REDIS_URL=redis://redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --port 7000\n",
        "compose-port",
    ),
    (
        "P=6381\nREDIS_URL=redis://redis:6381/0",
        "  redis:\n    image: redis\n    ports: ['${P}:6379']\n",
        "compose-port",
    ),
    (
        "REDIS_URL=redis://redis:6380/0",
        "  redis:\n    image: bitnami/redis\n    environment: {ALLOW_EMPTY_PASSWORD: 'yes', REDIS_PORT_NUMBER: 7000}\n",
        "compose-port",
    ),
    // Names.
    ("REDIS_URL=redis://localhost:6379/0", "  redis:\n    image: redis\n", "compose-localhost"),
    (
        "REDIS_URL=redis://127.0.0.1:6380/0",
        "  cache:\n    image: redis\n    ports: ['6380:6379']\n",
        "compose-localhost",
    ),
    ("REDIS_HOST=localhost\nREDIS_PORT=6379", "  redis:\n    image: redis\n", "compose-localhost"),
    (
        "REDIS_URL=redis://localhost:6379/0",
        "  a:\n    image: redis\n  b:\n    image: redis\n",
        "compose-localhost",
    ),
    ("REDIS_URL=redis://rediss:6379/0", "  redis:\n    image: redis\n", "compose-service-name"),
    (
        "REDIS_URL=redis://redis_cache:6379/0",
        "  redis-cache:\n    image: redis\n",
        "compose-service-name",
    ),
    ("REDIS_HOST=rediss", "  redis:\n    image: redis\n", "compose-service-name"),
];

#[test]
fn each_mistake_is_named() {
    for (env, redis, expected) in MISTAKES {
        let findings = examined(env, &format!("{APP}{redis}"));
        let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [*expected], "{env}\n{redis}: {findings:#?}");
        assert!(findings[0].line.is_some(), "{env}");
    }
}

/// Whole compose files, with what is to be said.
const FILES: &[(&str, &str, &str)] = &[
    (
        "REDIS_URL=redis://localhost:6379/0",
        "services:\n  redis:\n    image: redis\n    ports: ['6380:6379']\n",
        "compose-port",
    ),
    (
        "REDIS_URL=redis://localhost:6380/0",
        "services:\n  redis:\n    image: redis\n    ports: ['6380:6379']\n    command: redis-server --requirepass hunter2\n",
        "compose-password-missing",
    ),
    (
        "A=1",
        "services:\n  web:\n    build: .\n    environment:\n      REDIS_URL: redis://localhost:6379/0\n  redis:\n    image: redis\n",
        "compose-localhost",
    ),
    (
        "PW=hunter2",
        "services:\n  web:\n    build: .\n    environment:\n      - REDIS_URL=redis://redis:6379/0\n  redis:\n    image: redis\n    command: redis-server --requirepass ${PW}\n",
        "compose-password-missing",
    ),
    (
        "PW=hunter2\nOTHER=hunter22",
        "services:\n  web:\n    image: app\n    environment:\n      CELERY_BROKER_URL: redis://:${OTHER}@redis:6379/0\n  redis:\n    image: redis\n    command: redis-server --requirepass ${PW}\n",
        "compose-password-differs",
    ),
    (
        "REDIS_URL=redis://localhost/0",
        "services:\n  web:\n    build: .\n    environment:\n      - REDIS_URL\n  redis:\n    image: redis\n",
        "compose-localhost",
    ),
    (
        "REDIS_URL=redis://localhost/0",
        "services:\n  web:\n    build: .\n    environment:\n      REDIS_URL: ${REDIS_URL}\n  redis:\n    image: redis\n",
        "compose-localhost",
    ),
    (
        "REDIS_URL=redis://localhost/0",
        "x-app: &app\n  env_file:\n    - path: ./.env\n      required: true\nservices:\n  web:\n    <<: *app\n    build: .\n  redis:\n    image: redis\n",
        "compose-localhost",
    ),
    ("A=1", "services: [\n", "compose-unreadable"),
];

#[test]
fn whole_files_are_judged() {
    for (env, compose, expected) in FILES {
        let findings = examined(env, compose);
        let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [*expected], "{env}\n{compose}: {findings:#?}");
    }
}

/// `.env` and Redis behind [`APP`] of which there is nothing to say.
const SOUND: &[(&str, &str)] = &[
    ("REDIS_URL=redis://redis:6379/0", "  redis:\n    image: redis:7\n    ports: ['6380:6379']\n"),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n",
    ),
    (
        "PW=hunter2\nREDIS_URL=redis://:${PW}@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --requirepass ${PW} --appendonly yes\n",
    ),
    (
        "REDIS_URL=redis://:hunter2%23@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --requirepass 'hunter2#'\n",
    ),
    ("REDIS_URL=redis://cache:6379/0", "  redis:\n    image: redis\n    container_name: cache\n"),
    (
        "REDIS_URL=redis://cache:6379/0",
        "  redis:\n    image: redis\n    networks: {default: {aliases: [cache]}}\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server /usr/local/etc/redis/redis.conf\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    entrypoint: /start.sh\n",
    ),
    ("REDIS_URL=redis://:hunter2@redis:6379/0", "  redis:\n    build: ./redis\n"),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --requirepass ${FROM_A_SHELL}\n",
    ),
    (
        "REDIS_URL=redis://u:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    command: redis-server --aclfile /etc/acl\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    extends: {file: base.yaml, service: redis}\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis\n    command: !reset null\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: redis/redis-stack\n    environment: {REDIS_ARGS: --requirepass hunter2}\n",
    ),
    (
        "REDIS_URL=redis://:hunter2@redis:6379/0",
        "  redis:\n    image: bitnami/redis\n    environment: {REDIS_PASSWORD_FILE: /run/secrets/x}\n",
    ),
    ("REDIS_URL=redis://other:6379/0", "  redis:\n    image: redis\n"),
    ("REDIS_URL=redis://r.example.com:6379/0", "  redis:\n    image: redis\n"),
    (
        "REDIS_URL=rediss://:hunter2@redis:6380/0",
        "  redis:\n    image: redis\n    command: redis-server --port 0 --tls-port 6380 --requirepass hunter2\n",
    ),
    ("REDIS_URL=redis://localhost:6379/0", "  db:\n    image: postgres\n"),
    (
        "REDIS_HOST=redis\nREDIS_PORT=6379\nREDIS_PASSWORD=hunter2",
        "  redis:\n    image: redis\n    command: redis-server --requirepass ${REDIS_PASSWORD}\n",
    ),
    // As Laravel has them.
    (
        "REDIS_HOST=redis\nREDIS_PASSWORD=null\nREDIS_PORT=6379",
        "  redis:\n    image: redis:alpine\n    ports: ['${FORWARD_REDIS_PORT:-6379}:6379']\n",
    ),
    // By another name, or from elsewhere.
    (
        "REDIS_HOST=redis\nREDIS_AUTH=hunter2",
        "  redis:\n    image: redis\n    command: redis-server --requirepass ${REDIS_AUTH}\n",
    ),
    (
        "REDIS_HOST=redis\nREDIS_URL=redis://:hunter2@redis:6379",
        "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n",
    ),
    (
        "REDIS_HOST=redis\nREDIS_USERNAME=app\nREDIS_PASSWORD=hunter22",
        "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n",
    ),
    (
        "REDIS_HOST=redis\nREDIS_PASSWORD=hunter22",
        "    environment:\n      REDIS_PASSWORD: hunter2\n  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n",
    ),
    ("COMPOSE_FILE=other.yaml\nREDIS_URL=redis://localhost/0", "  redis:\n    image: redis\n"),
    (
        "REDIS_URL=redis://redis1:6379/0",
        "  redis:\n    image: redis\nnetworks:\n  default: {external: true}\n",
    ),
];

#[test]
fn sound_projects_have_no_finding() {
    for (env, redis) in SOUND {
        let findings: Vec<_> = examined(env, &format!("{APP}{redis}"))
            .into_iter()
            .filter(|finding| {
                finding.id.starts_with("compose-") && finding.id != "compose-unreadable"
            })
            .collect();
        assert!(findings.is_empty(), "{env}\n{redis}: {findings:#?}");
    }
}

#[test]
fn an_application_beside_its_containers_takes_what_is_published() {
    for (env, compose) in [
        (
            "REDIS_URL=redis://localhost:6379/0",
            "services:\n  redis:\n    image: redis\n    ports: ['6379:6379']\n",
        ),
        ("REDIS_URL=redis://localhost:6379/0", "services:\n  redis:\n    image: redis\n"),
        (
            "REDIS_URL=redis://localhost:6379/0",
            "services:\n  web:\n    build: .\n    env_file: .env\n    environment: {REDIS_URL: 'redis://redis:6379/0'}\n  redis:\n    image: redis\n    ports: [6379:6379]\n",
        ),
        (
            "REDIS_URL=redis://localhost:6379/0",
            "services:\n  web:\n    build: .\n    env_file: [.env, docker.env]\n  redis:\n    image: redis\n    ports: [6379:6379]\n",
        ),
        (
            "REDIS_URL=redis://localhost:6379/0",
            "services:\n  web:\n    build: .\n    env_file: .env\n    network_mode: host\n  redis:\n    image: redis\n    ports: [6379:6379]\n",
        ),
        (
            "REDIS_URL=redis://localhost:6379/0",
            "services:\n  redis:\n    image: redis\n    ports: ['${P}:6379']\n",
        ),
    ] {
        let findings = examined(env, compose);
        assert!(findings.is_empty(), "{env}\n{compose}: {findings:#?}");
    }
}

#[test]
fn an_override_beside_it_counts() {
    const BASE: &str = "services:\n  redis:\n    image: redis\n";
    const OVER: &str = "services:\n  redis:\n    command: redis-server --requirepass hunter2\n";
    let env = (".env", "REDIS_URL=redis://redis:6379/0\n");
    let with = [env, ("docker-compose.yml", BASE), ("docker-compose.override.yml", OVER)];
    let ids: Vec<_> = examined_with(&with).iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["compose-password-missing"]);
    assert!(examined_with(&with[..2]).is_empty());
}

#[test]
fn the_corrected_line_is_shown_without_and_kept_with_its_secret() {
    let redis = "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2#\n";
    let findings = examined("REDIS_URL=redis://redis:6379/2", &format!("{APP}{redis}"));
    let [finding] = &findings[..] else { panic!("there is one: {findings:#?}") };
    assert_eq!(finding.fix.as_deref(), Some("REDIS_URL=redis://:PASSWORD@redis:6379/2"));
    let correction = finding.correction.as_ref().map(|it| it.expose().as_str());
    assert_eq!(correction, Some("redis://:hunter2%23@redis:6379/2"));
    let redis = "  redis:\n    image: redis\n    ports: ['6380:6379']\n";
    let findings = examined("REDIS_URL=redis://redis:6380/2", &format!("{APP}{redis}"));
    assert_eq!(findings[0].fix.as_deref(), Some("REDIS_URL=redis://redis:6379/2"));
    let findings = examined("REDIS_HOST=localhost", &format!("{APP}{redis}"));
    assert_eq!(findings[0].fix.as_deref(), Some("REDIS_HOST=redis"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_compose_file_is_examined_without_a_panic_or_a_secret(
        key in "(image|command|ports|environment|env_file|networks|build|<<)",
        value in "[ -~\n]{0,40}",
        after in "[ -~]{0,8}",
    ) {
        let compose = format!("{APP}  redis:\n    image: redis\n    {key}: {value}\n");
        let env = "REDIS_URL=redis://:hunter2@redis:6380/0\nPW=hunter2\n";
        let _ = examined(env, &compose);
        let command = format!("{APP}  redis:\n    image: redis\n    command: redis-server --requirepass hunter2{after}\n");
        let _ = examined("REDIS_URL=redis://redis:6380/0\n", &command);
    }
}

#[test]
fn parts_of_an_address_are_corrected_where_they_stand() {
    let redis = "  redis:\n    image: redis\n    ports: ['6380:6379']\n";
    let findings = examined("REDIS_HOST=redis\nREDIS_PORT=6380", &format!("{APP}{redis}"));
    let [finding] = &findings[..] else { panic!("there is one: {findings:#?}") };
    assert_eq!((finding.line, finding.fix.as_deref()), (Some(2), Some("REDIS_PORT=6379")));
    let redis = "  redis:\n    image: redis\n    command: redis-server --requirepass hunter2\n";
    let findings = examined("REDIS_HOST=redis", &format!("{APP}{redis}"));
    let [finding] = &findings[..] else { panic!("there is one: {findings:#?}") };
    assert_eq!(finding.fix.as_deref(), Some("REDIS_PASSWORD=PASSWORD"));
}
