//! Files from real life, each with the verdict that an operator would want.

mod beside;
mod mistakes;
mod ours;
mod sound;

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
    findings.extend(examine(".env", &written, &findings));
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

/// An example says less than the line to write.
#[test]
fn what_is_sure_of_a_value_stands_in_the_line_to_write() {
    for (value, line) in [
        ("redis://:<password>@h:6380/2", "redis://:PASSWORD@h:6380/2"),
        ("redis://app:changeme@h:6379/0", "redis://USER:PASSWORD@h:6379/0"),
        ("redis-cli -h h -p 6380 -a hunter2 -n 3", "redis://:PASSWORD@h:6380/3"),
        ("redis-cli --tls --user app --pass 'hunter2' -h h", "rediss://USER:PASSWORD@h:6379/0"),
        ("redis-cli -h h --hunter2 x", "redis://:PASSWORD@HOST:6379/0"),
        ("redis-cli -h h hunter2", "redis://:PASSWORD@HOST:6379/0"),
        ("redis:/h:6379/1", "redis://h:6379/1"),
        ("rediss//:hunter2@h:6379", "rediss://:PASSWORD@h:6379"),
        ("redsi://:hunter2@h:6379/0", "redis://:PASSWORD@h:6379/0"),
        ("redis:6379", "redis://redis:6379"),
        ("redis:hunter2", "redis://:PASSWORD@HOST:6379/0"),
        ("redis://h:6379/0;", "redis://h:6379/0"),
        ("redis://:hunter2;", "redis://:PASSWORD@HOST:6379/0"),
        ("/run/redis/redis.sock", "unix:///run/redis/redis.sock?db=0"),
        ("/hunter2+x", "unix:///PATH?db=0"),
        ("http://h:6379", "redis://h:6379"),
        ("https://eu1-x.upstash.io", "rediss://default:PASSWORD@eu1-x.upstash.io:6379"),
        ("rediss://h:6380/0?ssl_cert_reqs=none", "rediss://h:6380/0?ssl_cert_reqs=required"),
        ("redis://h\u{200b}:6379/0", "redis://h:6379/0"),
    ] {
        let text = format!("REDIS_URL={value}");
        ids(&text);
        let fixes: Vec<_> = examined(&text).into_iter().filter_map(|it| it.fix).collect();
        assert_eq!(fixes, [format!("REDIS_URL={line}")], "{value}");
    }
    let [finding] = &examined("REDIS_URL=redis://a:6379/0\nREDIS_HOST=b")[..] else {
        panic!("there is one")
    };
    assert_eq!(finding.text.as_deref(), Some("b; REDIS_URL=redis://a:6379/0"));
}

#[test]
fn a_line_of_another_language_is_told_where_it_matters() {
    for (text, level) in [
        ("REDIS_URL: redis://:hunter2@h?ssl_cert_reqs=none", Warn),
        ("SESSION_SECRET_KEY: hunter2", Warn),
        ("set REDIS_URL=redis://h", Warn),
        ("$env:REDIS_URL=\"redis://h\"", Warn),
        ("setx REDIS_URL redis://h", Warn),
        ("GREETING: hello", Info),
        ("set -x", Info),
        ("REDIS_URL redis://h", Info),
    ] {
        let found = examined(text);
        let levels: Vec<_> = found.iter().map(|it| (it.id, it.level)).collect();
        assert_eq!(levels, [("env-line", level)], "{text}");
    }
    let [finding] = &examined("REDIS_URL=redis://h:6379/0#main")[..] else {
        panic!("there is one")
    };
    assert_eq!(finding.fix.as_deref(), Some("REDIS_URL=redis://h:6379/0"));
}

#[test]
fn names_of_others_are_told_where_ours_are_not_set() {
    let ours = "NIGHTLATCH_LISTEN=127.0.0.1:8080\n";
    let found = examined(&format!("{ours}DB_URL=postgres://u:hunter2@h/d\nREDIS_PASS=hunter2\n"));
    let told: Vec<_> = found.iter().map(|it| (it.id, it.level, it.fix.as_deref())).collect();
    let alias = |fix| ("setting-alias", Info, Some(fix));
    assert_eq!(told, [alias("DATABASE_URL=..."), alias("REDIS_PASSWORD=...")]);
    let both = "DB_URL=postgres://u:hunter2@h/d\nDATABASE_URL=sqlite://x.db\n";
    assert_eq!(ids(&format!("{ours}{both}")), [""; 0]);
    // Nobody's business.
    assert_eq!(ids("DB_URL=postgres://u:hunter2@h/d\nPORT=3000\n"), [""; 0]);
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
        let diagnosis = Diagnosis::of(examine_env_file(&path, false, &Machine::at(folder.path())));
        let ids: Vec<_> = diagnosis.findings().iter().map(|finding| finding.id).collect();
        assert_eq!(ids, expected);
        ids.into_iter().for_each(assert_is_documented);
    }
    std::fs::remove_file(&path).expect("it is there");
    let diagnosis = Diagnosis::of(examine_env_file(&path, false, &Machine::at(folder.path())));
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
