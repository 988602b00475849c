//! Files from real life, each with the verdict that an operator would want.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::doctor::diagnosis::Diagnosis;

/// In every password here, and in nothing that is shown.
const MARK: &str = "hunter2";

const DOCUMENT: &str = include_str!("../../../../../docs/findings.md");

fn assert_is_documented(id: &str) {
    let heading = format!("\n## {id}\n");
    assert!(DOCUMENT.contains(&heading), "docs/findings.md has no {id}");
}

fn examined(text: &str) -> Vec<Finding> {
    let (written, mut findings) = read_lines(".env", text);
    findings.extend(examine(&written));
    findings
}

fn ids(text: &str) -> Vec<&'static str> {
    let findings = examined(text);
    for finding in &findings {
        let shown = format!("{finding:?}");
        assert!(!shown.contains(MARK), "a secret is shown: {shown}");
        assert_is_documented(finding.id);
    }
    let ids: BTreeSet<_> = findings.into_iter().map(|finding| finding.id).collect();
    ids.into_iter().collect()
}

/// Each with what is to be said of it, whatever else is.
const MISTAKES: &[(&str, &str)] = &[
    ("REDIS_URL=\"'redis://h:6379/0'\"", "value-quoted"),
    ("REDIS_URL=“redis://h:6379/0”", "value-quoted"),
    ("REDIS_URL=REDIS_URL=redis://h:6379/0", "value-prefixed"),
    ("REDIS_URL=\"export REDIS_URL=redis://:hunter2@h:6379/0\"", "value-prefixed"),
    ("REDIS_URL=\" redis://h:6379/0\"", "value-padded"),
    ("REDIS_URL=\"redis://h:6379/0 \"", "value-padded"),
    ("REDIS_URL=redis-cli -u redis://:hunter2@h:6379", "value-command"),
    ("REDIS_URL=redis-cli --tls -u 'redis://:hunter2@h:6379'", "value-command"),
    ("REDIS_URL=redis://:<password>@h:6379/0", "value-placeholder"),
    ("REDIS_URL=<your redis url>", "value-placeholder"),
    ("REDIS_URL=changeme", "value-placeholder"),
    ("REDIS_URL=redis://:changeme@h:6379/0", "value-placeholder"),
    ("REDIS_URL=null", "value-placeholder"),
    ("REDIS_URL=undefined", "value-placeholder"),
    ("REDIS_URL=redis://:${hunter2}@h:6379/0", "value-not-expanded"),
    ("REDIS_URL=redis://:$(REDIS_PASSWORD)@h:6379/0", "value-not-expanded"),
    ("REDIS_URL=redis://:{{ redis_password }}@h:6379/0", "value-not-expanded"),
    ("REDIS_URL=redis://:%REDIS_PASSWORD%@h:6379/0", "value-not-expanded"),
    ("A=b\nREDIS_URL='redis://:${A}@h:6379/0'", "value-not-expanded"),
    ("REDIS_URL=redis://h\u{200b}:6379/0", "value-invisible"),
    ("REDIS_URL=redis://h\u{a0}:6379/0", "value-invisible"),
    ("REDIS_URL={\"host\":\"h\",\"port\":6379}", "redis-url-json"),
    ("REDIS_URL=h:6380,password=hunter2,ssl=True,abortConnect=False", "redis-url-dotnet"),
    ("REDIS_URL=/var/run/redis/redis.sock", "redis-url-path"),
    ("REDIS_URL=redis.example.com:6379", "redis-url-no-scheme"),
    ("REDIS_URL=:hunter2@redis.example.com:6379", "redis-url-no-scheme"),
    ("REDIS_URL=https://eu1-abc.upstash.io", "redis-url-rest"),
    ("REDIS_URL=http://h:6379", "redis-url-rest"),
    ("REDIS_URL=mysql://10.0.0.1:6379", "redis-url-scheme"),
    ("REDIS_URL=postgres://u:hunter2@h/db", "redis-url-scheme"),
    ("REDIS_URL=redis://:hunter2#1@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=redis://:hunter2@1@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=redis://:hunter2/x@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=redis://:hunter2?x@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=redis://:100%hunter2@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=redis://2001:db8::1:6379/0", "redis-ipv6-brackets"),
    ("REDIS_URL=redis://h:port/0", "redis-port"),
    ("REDIS_URL=redis://h:65536/0", "redis-port"),
    ("REDIS_URL=redis://h:6379/zero", "redis-database"),
    ("REDIS_URL=redis://h:6379/99", "redis-database"),
    ("REDIS_URL=redis://:hunter2@a.upstash.io:6379", "redis-tls-needed"),
    ("REDIS_URL=redis://:hunter2@a.redis.cache.windows.net:6380/0", "redis-tls-needed"),
    ("REDIS_URL=redis://r.example.com:6380/0", "redis-tls-needed"),
    ("REDIS_URL=redis://h:26379/0", "redis-sentinel-port"),
    ("REDIS_URL=redis://hunter2@h:6379/0", "redis-password-as-user"),
    ("REDIS_URL=rediss://h?ssl_cert_reqs=none", "redis-tls-unverified"),
    ("CELERY_RESULT_BACKEND=rediss://:hunter2@h:6380/1", "celery-ssl-cert-reqs"),
    ("REDIS_PORT=tcp://10.0.0.1:6379", "kubernetes-service-link"),
    ("REDIS_SESSION_URL=redis://h/0\nREDIS_CACHE_URL=redis://h/0", "redis-collision"),
    ("SESSION_REDIS_URL=redis://h/1\nCELERY_BROKER_URL=redis://h/1", "redis-collision"),
    ("REDIS_URL=redis://:hunter2@h/0\nCELERY_BROKER_URL=redis://h/1", "redis-password-missing"),
    ("REDIS_URL=redis://a/0\nREDIS_URL=redis://b/0", "env-duplicate"),
    ("source ~/.profile", "env-line"),
    ("REDIS_URL={\"password\":\"hunter2\",\"uri\":\"redis://:x@h:6379\"}", "redis-url-json"),
    ("REDIS_URL=/usr/bin/redis-cli -a hunter2 -u redis://h:6379", "value-command"),
    ("REDIS_URL=REDISCLI_AUTH=hunter2 redis-cli -u redis://h:6379", "value-command"),
    ("REDIS_PORT=tcp://:hunter2@10.0.0.1:6379", "kubernetes-service-link"),
    ("REDIS_PORT=tcp://:hunter2", "kubernetes-service-link"),
    ("REDIS_URL=redis://:hunter2 #x@h:6379/0", "redis-url-unreadable"),
    ("REDIS_URL=/hunter2Base64abc=", "redis-url-path"),
    ("REDIS_URL=admin.hunter2:123456", "redis-url-no-scheme"),
    ("REDIS_URL=redis://hunter2:x@r.example.com:6380/0", "redis-tls-needed"),
    ("REDIS_URL=redis://hunter2:ab#c@h:6379/0", "redis-password-unencoded"),
    ("REDIS_URL=\"'redis+sentinel://u/hunter2?x@h1/main'\"", "value-quoted"),
    ("REDIS_URL=redis://:hunter2%40h:6379/0", "redis-url-unreadable"),
    ("SESSION_SECRET_KEY=short1,short2,short3,short4,short5,short6", "secret-weak"),
    ("REDIS_URL='redis://h", "env-line"),
    ("SESSION_SECRET_KEY=short-hunter2", "secret-weak"),
    ("ENVIRONMENT=production\nSECRET_KEY=changeme-hunter2", "secret-weak"),
    ("NODE_ENV=production\nSESSION_SECRET=your-secret-hunter2", "secret-weak"),
    (
        "SESSION_SECRET_KEY=0123456789abcdef0123456789hunter2\n\
             CSRF_SECRET_KEY=0123456789abcdef0123456789hunter2",
        "secret-shared",
    ),
];

#[test]
fn each_mistake_is_named() {
    let missed: Vec<_> = MISTAKES
        .iter()
        .filter(|(text, expected)| !ids(text).contains(expected))
        .map(|(text, expected)| (text, expected, ids(text)))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What works as it is: nothing to say.
#[test]
fn sound_files_have_no_finding() {
    for text in [
        "",
        "# nothing\n",
        "REDIS_URL=\n",
        "REDIS_URL=redis://localhost:6379/0",
        "REDIS_URL=\"redis://localhost:6379/0\"\r\n",
        "export REDIS_URL='redis://:hunter2@h:6379/0'",
        "REDIS_URL=redis://:hunter2%23%40%2F@h:6379/0",
        "REDIS_URL=rediss://:hunter2@a.upstash.io:6379",
        "REDIS_URL=rediss://:hunter2@a.redis.cache.windows.net:6380/0?ssl_cert_reqs=required",
        "REDIS_URL=redis://default:hunter2@redis-1.c1.eu-west-1-1.ec2.cloud.redislabs.com:14537",
        "REDIS_URL=unix:///run/redis/redis.sock?db=1",
        "REDIS_URL=redis+sentinel://:hunter2@s1:26379,s2:26379/mymaster/0",
        "REDIS_URL=redis://[2001:db8::1]:6379/0",
        "REDIS_URL=redis+cluster://:hunter2@c1:6379,c2:6379",
        "REDIS_PASSWORD=hunter2\nREDIS_URL=redis://:${REDIS_PASSWORD}@h:6379/0",
        "REDIS_URL=redis://${REDIS_HOST:-localhost}:6379/0",
        // Django with Celery and Channels.
        "DEBUG=True\nSECRET_KEY=django-insecure-hunter2\nDATABASE_URL=postgres://u:hunter2@db/x\n\
         REDIS_URL=redis://redis:6379/0\nREDIS_CACHE_URL=redis://redis:6379/1\n\
         CELERY_BROKER_URL=redis://redis:6379/2\nCELERY_RESULT_BACKEND=redis://redis:6379/2\n\
         REDIS_CHANNELS_URL=redis://redis:6379/3\n",
        "CELERY_BROKER_URL=amqp://u:hunter2@rabbit//\nCELERY_RESULT_BACKEND=django-db",
        "CELERY_BROKER_URL=rediss://:hunter2@h:6380/1?ssl_cert_reqs=CERT_REQUIRED",
        "CACHE_URL=memcache://h:11211",
        // As it is written elsewhere, and nobody's business here.
        "REDIS_URL=redis://:ab%2FHUNTER2%2Bcd@h:6379/0",
        "REDIS_PASSWORD=hunter2\nREDIS_URL=redis://:${REDIS_PASSWORD}@h/0\nCELERY_BROKER_URL=${REDIS_URL}",
        "REDIS_HOST=h\nREDIS_PORT=1\nREDIS_URL=redis://$REDIS_HOST:$REDIS_PORT/0",
        "REDIS_HOST=h\nREDIS_URL=redis://${REDIS_HOST:?must be set}:6379",
        "APP_NAME=\"\u{1f469}\u{200d}\u{1f4bb} Team\"\nSITE=\"Bonjour\u{a0}!\"",
        "CACHE_URL=rediscache://127.0.0.1:6379/1",
        "CELERY_BROKER_URL=redis+socket:///run/redis/redis.sock",
        "CELERY_RESULT_BACKEND=redis://",
        "CELERY_BROKER_URL=redis://:hunter2@h1:6379/0;redis://:hunter2@h2:6379/0",
        "CELERY_BROKER_URL=sentinel://redis-s1:26379;sentinel://redis-s2:26379",
        "REDIS_URL=tcp://127.0.0.1:6379?database=0",
        "SPRING_DATA_REDIS_URL=redis-sentinel://:hunter2@h1,h2/0#mymaster",
        "REDIS_URL=redis://localhost:6379/0/session",
        "REDIS_CLUSTER_URL=redis://a:7000,redis://b:7001",
        "REDIS_INSIGHT_URL=http://localhost:5540\nREDIS_REST_URL=https://a.upstash.io",
        "REDIS_SENTINEL_URL=redis://sentinel:26379",
        "ENVIRONMENT=production\nAWS_SECRET_KEY=hunter2\nS3_SECRET_KEY=hunter2",
        "REDIS_URL=redis://default:@localhost:6379",
        "REDIS_URL=redis://localhost:6380/0",
        "REDIS_URL=redis://h/0\nREDIS_CACHE_URL=redis://h/0",
        // Node.
        "NODE_ENV=development\nPORT=3000\nSESSION_SECRET=hunter2\nREDIS_HOST=127.0.0.1\n\
         REDIS_PORT=6379\n",
        // Rails.
        "RAILS_ENV=production\nSECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c\n\
         REDIS_URL=redis://redis:6379/1\nSIDEKIQ_REDIS_URL=redis://redis:6379/2\n",
        "PATTERN=^[a-z]+$\nGREETING=\"Hello, ${NAME}\"\nHTML=<b>\n",
    ] {
        assert_eq!(ids(text), [""; 0], "{text}");
    }
}

#[test]
fn a_finding_says_where_and_what_to_write() {
    let text = "# c\n\nexport REDIS_URL = redis://:hunter2#1@h:6379/2\n";
    let [finding] = &examined(text)[..] else { panic!("there is one") };
    assert_eq!((finding.line, finding.column), (Some(3), Some(20)));
    assert_eq!(finding.text.as_deref(), Some("redis://***@h:6379/2"));
    assert_eq!(finding.name.as_deref(), Some("REDIS_URL"));
    assert_eq!(finding.fix.as_deref(), Some("REDIS_URL=redis://:PASSWORD@h:6379/2"));
    let [finding] = &examined("REDIS_URL=\"redis://h\u{200b}:1\"")[..1] else {
        panic!("it is first")
    };
    assert_eq!((finding.line, finding.column), (Some(1), Some(21)));
}

#[test]
fn files_are_read_as_they_were_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(".env");
    let utf16: Vec<u8> = "REDIS_URL=h:1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, expected) in [
        (b"REDIS_URL=redis://h\n".to_vec(), &[][..]),
        (b"\xEF\xBB\xBFREDIS_URL=redis://h\n".to_vec(), &["env-byte-order-mark"]),
        (utf16, &["env-encoding", "redis-url-no-scheme"]),
        (b"# \xE9\nREDIS_URL=redis://h\n".to_vec(), &["env-encoding"]),
    ] {
        std::fs::write(&path, bytes).expect("our folder takes a file");
        let diagnosis = Diagnosis::of(examine_env_file(&path, false));
        let ids: Vec<_> = diagnosis.findings().iter().map(|finding| finding.id).collect();
        assert_eq!(ids, expected);
        ids.into_iter().for_each(assert_is_documented);
    }
    std::fs::remove_file(&path).expect("it is there");
    let diagnosis = Diagnosis::of(examine_env_file(&path, false));
    assert_eq!(diagnosis.findings()[0].id, "env-file-missing");
    assert_is_documented("env-file-missing");
    assert!(diagnosis.is_failure(false));
    assert_eq!(diagnosis.summary(), "1 error");
}

proptest! {
    #[test]
    fn any_text_is_examined_without_a_panic(text in "(?s)[\\PC\n\r\t\"'=#\\\\${}%<>@:/]{0,120}") {
        let _ = examined(&text);
        let _ = examined(&format!("REDIS_URL={text}"));
    }

    #[test]
    fn no_password_is_shown(before in "[ -?A-~]{0,12}", after in "[ -~]{0,12}") {
        for text in [
            format!("REDIS_URL=redis://:{before}hunter2{after}@h:6379/0"),
            format!("REDIS_URL=redis://u:hunter2{after}@h:6379/0?x={before}"),
            format!("CELERY_BROKER_URL='rediss://{before}:hunter2{after}@h:6380/0'"),
        ] {
            let _ = ids(&text);
        }
    }
}
