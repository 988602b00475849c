//! `doctor env --fix`: what has one certain correction is written without asking anybody.

use super::fixed;

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
        "REDIS_URL=rediss://h?ssl_cert_reqs=none\n",
        "SESSION_SECRET_KEY=0123456789-ses\u{200b}ame-0123456789-abcdef\n",
        "SESSION_SECRET_KEY=0123456789-sesame-0123456789-abcdef\n\
         DATABASE_URL=postgresql+asyncpg://u:sesame@h/db\n",
    ] {
        assert_eq!(fixed("env", text).0, text);
    }
}
