//! `doctor env --fix`: what has one certain correction is written without asking anybody.

use std::fs;

use super::{doctor_in, fixed, run};

#[test]
fn what_has_one_correction_is_written() {
    for (before, after) in [
        ("REDIS_URL=\"'redis://:sesame@h:6379/0'\"", "REDIS_URL=\"redis://:sesame@h:6379/0\""),
        ("REDIS_URL=\" redis://h:6379/0 \"", "REDIS_URL=\"redis://h:6379/0\""),
        ("REDIS_URL=REDIS_URL=redis://h:6379/0", "REDIS_URL=redis://h:6379/0"),
        ("REDIS_URL=redis-cli -u redis://:sesame@h:6379", "REDIS_URL=redis://:sesame@h:6379"),
        ("REDIS_URL=redis://:ses\u{200b}ame@h:6379/0", "REDIS_URL=redis://:sesame@h:6379/0"),
        ("REDIS_URL=redis://:sesame#1@h:6379/0", "REDIS_URL=redis://:sesame%231@h:6379/0"),
        (
            "REDIS_URL=redis://:sesame@2001:db8::1:6379/0",
            "REDIS_URL=redis://:sesame@[2001:db8::1]:6379/0",
        ),
        (
            "REDIS_URL=redis://default:sesame@a.upstash.io:6379",
            "REDIS_URL=rediss://default:sesame@a.upstash.io:6379",
        ),
        ("REDIS_URL=redis://:sesame@h/1:6379", "REDIS_URL=redis://:sesame@h:6379/1"),
        ("REDIS_URL=redis://h:6379:2", "REDIS_URL=redis://h:6379/2"),
        (
            "CELERY_RESULT_BACKEND=rediss://:sesame@h:6380/1",
            "CELERY_RESULT_BACKEND=rediss://:sesame@h:6380/1?ssl_cert_reqs=CERT_REQUIRED",
        ),
        (
            "REDIS_URL=redis://:sesame%2F1@h:6379/0\nREDIS_CACHE_URL=redis://h:6379/1?a=b",
            "REDIS_URL=redis://:sesame%2F1@h:6379/0\nREDIS_CACHE_URL=redis://:sesame%2F1@h:6379/1?a=b",
        ),
        ("REDIS_HOST='redis '", "REDIS_HOST='redis'"),
        ("REDIS_PORT='6379 '", "REDIS_PORT='6379'"),
        ("REDIS_PORT=tcp://10.0.0.1:6380", "REDIS_PORT=6380"),
        (
            "SESSION_SECRET_KEY=\"'0123456789-sesame-0123456789-abcdef'\"",
            "SESSION_SECRET_KEY=\"0123456789-sesame-0123456789-abcdef\"",
        ),
    ] {
        let (written, found) = fixed("env", &format!("# kept\n{before}\n"));
        assert_eq!(written, format!("# kept\n{after}\n"), "{:#?}", found.findings);
        assert_eq!(found.code, Some(0), "{after}: {:#?}", found.findings);
    }
}

#[test]
fn what_may_be_meant_otherwise_stays() {
    for text in [
        "REDIS_URL=redis://:<password>@h:6379/0\n",
        "REDIS_URL=redis://:${SESAME}@h:6379/0\n",
        "REDIS_URL=redis://:sesame/@h/x@g:6379/0\n",
        "REDIS_URL=redis://r.example.com:6380/0\n",
        "REDIS_HOST=redis://:sesame@h:6379\n",
        "REDIS_PORT=default\n",
        // Another user has other rights, another transport is in the clear, and a reference is one.
        "REDIS_URL=redis://app:sesame@h:6379/0\nREDIS_CACHE_URL=redis://h:6379/1\n",
        "REDIS_URL=rediss://:sesame@h:6379/0\nREDIS_CACHE_URL=redis://h:6379/1\n",
        "A=sesame\nREDIS_URL=redis://:${A}@h:6379/0\nREDIS_CACHE_URL=redis://h:6379/1\n",
        "REDIS_URL=rediss://h?ssl_cert_reqs=none\n",
        "SESSION_SECRET_KEY=0123456789-ses\u{200b}ame-0123456789-abcdef\n",
        "SESSION_SECRET_KEY=0123456789-sesame-0123456789-abcdef\n\
         DATABASE_URL=postgresql+asyncpg://u:sesame@h/db\n",
    ] {
        assert_eq!(fixed("env", text).0, text);
    }
}

/// What the file says of a secret that was made, which is not shown.
fn made<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().filter_map(|line| line.strip_prefix(name)).next_back();
    let value = value.unwrap_or_else(|| panic!("no {name} in {text}")).trim_matches('"');
    assert!(value.len() >= 43 && !value.contains("sesame"), "{value}");
    value
}

#[test]
fn a_secret_that_production_requires_is_made_and_never_shown() {
    const REST: &str = "ENVIRONMENT=production\nPUBLIC_URL=https://login.example.com\n";
    for before in [
        format!("{REST}NIGHTLATCH_LISTEN=127.0.0.1:8080\n"),
        format!("{REST}NIGHTLATCH_LISTEN=127.0.0.1:8080"),
        format!("{REST}SESSION_SECRET_KEY=\n"),
        format!("{REST}export SESSION_SECRET_KEY=\"changeme-sesame\" # why\n"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(".env");
        fs::write(&path, &before).expect("our folder takes a file");
        let output = run(folder.path(), &["env", "--env-file", ".env", "--fix"]);
        let written = fs::read_to_string(&path).expect("it is there");
        let bare = written.replace(" # why", "").replace("export ", "");
        let secret = made(&bare, "SESSION_SECRET_KEY=");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains(secret) && output.status.code() == Some(0), "{said}");
        assert!(said.contains(".env:") && said.contains("SESSION_SECRET_KEY is "), "{said}");
        assert_eq!(written.ends_with('\n'), before.ends_with('\n'));
        // Once is enough.
        let again = run(folder.path(), &["env", "--env-file", ".env", "--fix"]);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), written);
        assert_eq!((again.status.code(), again.stderr.len()), (Some(0), 0));
        assert!(!folder.path().join(".env.bak-2").exists());
    }
    let twin = "0123456789-sesame-0123456789-abcdef";
    let before = format!("{REST}SESSION_SECRET_KEY={twin}\nCSRF_SECRET_KEY={twin}\n");
    let (written, found) = fixed("env", &before);
    assert!(written.starts_with(&format!("{REST}SESSION_SECRET_KEY={twin}\n")), "{written}");
    made(&written, "CSRF_SECRET_KEY=");
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)));
}

/// It may stand under another name, or in another file; and what was signed with a weak one would be lost.
#[test]
fn a_secret_is_not_made_where_there_may_be_one() {
    const REST: &str = "ENVIRONMENT=production\nNIGHTLATCH_LISTEN=127.0.0.1:8080\n\
                        PUBLIC_URL=https://login.example.com\n";
    const SECRET: &str = "0123456789-sesame-0123456789-abcdef";
    for more in [
        format!("SECRET_KEY={SECRET}\n"),
        format!("SESION_SECRET_KEY={SECRET}\n"),
        "SESSION_SECRET_KEY=sesame\n".to_owned(),
        format!("SESSION_SECRET_KEY=changeme-sesame,{SECRET}\n"),
        "SESSION_SECRET_KEY=${SESAME}\n".to_owned(),
    ] {
        let text = format!("{REST}{more}");
        assert_eq!(fixed("env", &text).0, text);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(".env"), REST).expect("our folder takes a file");
    // Its own mistakes are told at the start.
    let toml = format!("SESSION_SECRET_KEY = \"{SECRET}\"\nSESSION_COOKIE_AGE = \"24h\"\n");
    fs::write(folder.path().join("nightlatch.toml"), toml).expect("our folder takes a file");
    let found = doctor_in(folder.path(), &["env", "--env-file", ".env", "--fix"]);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    assert_eq!(fs::read_to_string(folder.path().join(".env")).expect("it is there"), REST);
}
