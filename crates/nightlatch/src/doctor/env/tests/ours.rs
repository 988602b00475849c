//! Files of ours, which are told what the server would say of them.

use super::*;

/// A file of production in which nothing is missing.
const SOUND: &str = "ENVIRONMENT=production\nPUBLIC_URL=https://login.example.com\n\
                     SESSION_SECRET_KEY=0123456789abcdef0123456789hunter2\n";

/// Each with what is to be said of it, and how bad it is, in production.
const IN_PRODUCTION: &[(&str, &str, &str)] = &[
    ("SESSION_COOKIE_SECURE=off", "setting-doubtful", "warn"),
    ("SESSION_COOKIE_SECURE=flase", "setting-unusable", "warn"),
    ("SESSION_COOKIE_SAMESITE=loose", "setting-unusable", "warn"),
    ("SESSION_COOKIE_AGE=24h", "setting-unusable", "warn"),
    ("SESSION_COOKIE_DOMAIN=example.org", "setting-unusable", "warn"),
    ("DISABLE_THROTTLING=on", "setting-doubtful", "warn"),
    ("THROTTLE_LOGIN=many", "setting-unusable", "warn"),
    ("TRUSTED_PROXIES=0.0.0.0/0", "setting-doubtful", "warn"),
    ("TRUSTED_PROXIES=hunter2", "setting-unusable", "warn"),
    ("ALLOWED_ORIGINS=*", "setting-unusable", "warn"),
    ("NIGHTLATCH_LISTEN=hunter2@localhost", "setting-unusable", "error"),
    ("DATABASE_URL=mysql://u:hunter2@h/db", "setting-unusable", "error"),
    ("SESSION_SECRET_KY=hunter2", "setting-unknown", "warn"),
    ("SESION_COOKIE_SECURE=on", "setting-unknown", "warn"),
    ("NIGHTLATCH_LISTN=1", "setting-unknown", "warn"),
    ("DATABASE_PASSWORD_FILE=/hunter2", "setting-file", "warn"),
    ("DATABASE_PASSWORD=hunter2\nDATABASE_PASSWORD_FILE=/x", "setting-twice", "warn"),
    ("LOG_LEVEL=\"'info'\"", "setting-pasted", "warn"),
    ("PUBLIC_URL=https://u:hunter2@login.example.com", "setting-unusable", "error"),
    ("REDIS_HOST=redis://:hunter2@h", "redis-host", "error"),
    ("REDIS_PORT=hunter2", "redis-port", "error"),
    ("REDIS_URL=redis://a/0\nREDIS_HOST=b", "redis-settings-disagree", "warn"),
    ("REDIS_DEADLINE_MS=hunter2", "setting-unusable", "warn"),
    ("CSRF_SECRET_KEY=hunter2", "secret-weak", "error"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4317", "setting-doubtful", "warn"),
    ("OTEL_EXPORTER_OTLP_HEADERS=hunter2", "setting-unusable", "warn"),
];

#[test]
fn what_the_server_would_say_is_said_of_the_line() {
    for (line, id, level) in IN_PRODUCTION {
        let text = format!("{SOUND}{line}\n");
        assert!(ids(&text).contains(id), "{line}: {:#?}", examined(&text));
        let diagnosis = Diagnosis::of(examined(&text));
        let told: Vec<_> = diagnosis.findings().iter().filter(|it| it.id == *id).collect();
        let [finding] = told[..] else { panic!("{line}: told {} times", told.len()) };
        assert_eq!(finding.level.as_str(), *level, "{line}: {finding:?}");
        assert!(finding.line.is_some_and(|line| line >= 4) && finding.column.is_some(), "{line}");
    }
}

#[test]
fn what_production_requires_and_is_missing_is_named() {
    let text = "ENVIRONMENT=production\nNIGHTLATCH_LISTEN=0.0.0.0:8080\n";
    let findings = examined(text);
    let missing: Vec<_> = findings.iter().filter(|it| it.id == "setting-missing").collect();
    let names: BTreeSet<_> = missing.iter().filter_map(|it| it.name.as_deref()).collect();
    assert_eq!(names, BTreeSet::from(["PUBLIC_URL", "SESSION_SECRET_KEY"]));
    assert!(missing.iter().all(|it| it.level == Error && it.source.as_deref() == Some(".env")));
    assert_eq!(ids("ENVIRONMENT=production\nDEBUG=1\n"), [""; 0], "it is not ours");
    for ours in ["DATABASE_URL=sqlite://nightlatch.db", "SESSION_IDLE_TIMEOUT=900"] {
        let text = format!("ENVIRONMENT=production\nREDIS_URL=redis://h:6379/0\n{ours}\n");
        assert_eq!(ids(&text), ["setting-missing"], "{ours}");
    }
}

#[test]
fn nothing_is_said_twice_of_a_line() {
    for line in [
        "REDIS_URL=\"'redis://h:6379/0'\"",
        "REDIS_URL=redis://h:65536/0",
        "REDIS_URL=redis://:hunter2#1@h:6379/0",
        "REDIS_HOST=redis://h",
        "REDIS_PORT=tcp://10.0.0.1:6379",
        "CSRF_SECRET_KEY=changeme",
        "LOG_LEVEL=info\nLOG_LEVEL=warn",
    ] {
        let text = format!("{SOUND}{line}\n");
        let diagnosis = Diagnosis::of(examined(&text));
        assert_eq!(diagnosis.findings().len(), 1, "{line}: {:#?}", diagnosis.findings());
    }
}

#[test]
fn a_file_of_production_without_mistakes_has_no_finding() {
    assert_eq!(ids(SOUND), [""; 0]);
}

proptest! {
    #[test]
    fn any_value_of_ours_is_judged_without_showing_it(
        at in 0..setting::all().count(),
        before in "[ -~]{0,6}",
        after in "[ -~]{0,6}",
    ) {
        let setting = setting::all().nth(at).expect("it is one of them");
        let text = format!("{SOUND}{}={before}hunter2{after}\n", setting.name);
        if !matches!(setting.name, "PUBLIC_URL" | "SESSION_COOKIE_NAME") {
            let _ = ids(&text);
        }
    }
}
