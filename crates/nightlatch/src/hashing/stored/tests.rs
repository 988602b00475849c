//! Hashes made by Django 5.2, Python's bcrypt 5.0, argon2-cffi 25.1 and hashlib, and damaged ones.

use nightlatch_core::Verified;
use proptest::prelude::*;

use super::*;
use crate::hashing::verdict;

const PLAIN: &str = "correct horse";
const UNICODE: &str = "Gr\u{fc}\u{df}e \u{1f511}";

/// Hashes of [`PLAIN`], and whether they are weaker than today's.
const OF_PLAIN: &[(&str, bool)] = &[
    ("pbkdf2_sha256$20000$seasalt$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs=", true),
    ("pbkdf2_sha1$20000$seasalt$j6MqGg917BjmxmBPsVrVTont/ug=", true),
    (
        "argon2$argon2id$v=19$m=102400,t=2,p=8$YWJjZGVmZ2hpamtsbW5vcDEyMzQ$wgkEgs6EZ19YXJsvdCWZbKZalNaNy0ocCow8gpV3eus",
        true,
    ),
    (
        "scrypt$16384$seasalt$8$5$nXachnDoZ26UFUF1o3PD3FjYfKq/mD4nZm22d5L0rp+Bi3DZTjkayk+fTW77FlT+2IelThLoihBYgWjZHfwh3Q==",
        true,
    ),
    ("bcrypt$$2b$05$P6lDaZ5BZlAkHoiwOajv0ejylbrN94111YSsU..LoASpNGXZB9jXK", true),
    ("bcrypt_sha256$$2b$05$jqsUCcwoiHM0JTG4sqqZquxwGhlWeiZFpyjS5.3WFVNBEGLPk4DEO", true),
    ("$2a$05$bFrXx6IDZV6l4POFBte5w.yJFqF3cMyTk9xoD2g5bVQ5MzQbGocA.", true),
    ("$2b$05$TftwWyDABZc2o7dpOQXp9OCkhz0wpn7CWirdxaISjEhWf3Q4sLOF6", true),
    ("$2y$05$Pt1YtAIcTB4o9O7O5KblmOaS97AmmHRuvlb0LUeVg/2sNDi5xUSze", true),
    (
        "$argon2id$v=19$m=1024,t=2,p=2$7O6Fj7kwLZb+nUFMqV0N7A$OBwAB3BadrSsriV0wjIBqUETHRie1W9/6MQfNsn6siU",
        true,
    ),
    (
        "$argon2i$v=19$m=1024,t=2,p=2$ZQ5GEyO4tDpoMqjahSFQzg$at5D4J71lbUQy51M1Dtfg3PSR2bATm+VtIRj1wvX19c",
        true,
    ),
    (
        "$argon2d$v=19$m=1024,t=2,p=2$UW0hFJESqvQhiICIfbKjCw$E0PzO+706T3gC6lp13IeSvFXedH1wz+ZJIwx6s1ZiIk",
        true,
    ),
    (
        "$argon2id$v=19$m=19456,t=2,p=1$9W2i7bIPT0uC5C03KSE4+g$+hcJEbCqh1mn8TPTjQ8zXYEscRYQjPyV19C2gu++bpg",
        false,
    ),
    (
        "$argon2id$v=19$m=65536,t=3,p=4$S7w5wk/7A6lQAT/x/Qq3Ig$69RX4EO5w9v2ABUYeRmQHxgysmxRV78zl0zbTqi21mw",
        false,
    ),
    (
        "$argon2i$v=16$m=512,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$caAnbuNPC1ce10bgGEnYPthsW1zivdQINsRqJTcyHY0",
        true,
    ),
    (
        "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
        true,
    ),
];

/// Hashes of [`UNICODE`].
const OF_UNICODE: &[&str] = &[
    "pbkdf2_sha256$20000$seasalt$+sudUHLfT0K6M5rDZuq/Xqro3Vr1xkKExGkG96Qu5uU=",
    "pbkdf2_sha1$20000$seasalt$VOe3Jkr64asCMwUSKw7QzmEVY54=",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$YWJjZGVmZ2hpamtsbW5vcDEyMzQ$Q1D1JbmfjNiwta6azRuDwBuC8aemSrS1O9y0k7kkXRo",
    "scrypt$16384$seasalt$8$5$vYiA3tZqWIkBK+cn6QDMxNzqUAcHqh0P6UdgJOQyIhHAx/4PqOFQm8c9WvkOnfW53QuRALMJzKbZeCY6qtBjow==",
    "bcrypt$$2b$05$9B04VnXtcXRCXPNtCooiF.WktZEQw5YzALXxy9koGqWEetnwibnIi",
    "bcrypt_sha256$$2b$05$rqQ903RdqzfmOXKmEg5NLe2RSpWspWMKBC0RT7o3d0NmtFj01VPu.",
    "$2a$05$o3KA6Kiepb7hjacK6G9fF.IgO5232jJoWl.XL.qMescowFQ98ZtPe",
    "$2b$05$eW3q2zygev/3S/SAIM9Fr.0HzzveKbDnt8BRN/IJue4fzat7ZyG7C",
    "$2y$05$gcdZIWNE/Z1B.X95yNZ4MugL19n1yB46b6r/MI9pcb8diKwxp3b8K",
    "$argon2id$v=19$m=1024,t=2,p=2$H7KpSyb14u8U/Fnqywl/Mg$XKYSsd/1fmweBrKazziR7nqEbkly8jvGdPAwHwmejsM",
    "$argon2i$v=19$m=1024,t=2,p=2$vXg+IUutfV41W3pw7DuEOA$oe5ESgT3KFJfuMtBSEUe7yTPaPzBHfJVDs9l3OOMcTk",
    "$argon2d$v=19$m=1024,t=2,p=2$W6BaFHDhg7dkl1UD6DAgBA$n6rhL77vhmfYoTjM3JaYAYhVM9bGA3ngrskY0av714Y",
    "$argon2id$v=19$m=19456,t=2,p=1$Qukv1wKPETC6PYVlcfnDLg$jzRFIffgk8Q7bBX5f4mDxYE2kCw4qpYSJGyT4SDM/tQ",
    "$argon2id$v=19$m=65536,t=3,p=4$JhmfWTA2fsyhCGDfl2cCwQ$J9+EieZTkRobeZb+cWYQojw09QU885NBb85QxZsakqg",
    "$argon2i$v=16$m=512,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$4f+Dwj6+KH3xow6nI52oHR/kNyWzCOJxw5vg5obAuAE",
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$jbvwypj7crUzmOUXJQ/JhKG0lNTULb9hjR83gIusRZM",
];

/// bcrypt of 71 `x` and a `y`: as long as it may be.
const BCRYPT_OF_72: &str = "$2b$05$tkiHcYlSzse1T4PO2cAmTuJyvrp8XdF/gNH3HOuat7ytk4By956am";
/// bcrypt of 71 `x`.
const BCRYPT_OF_71: &str = "$2b$05$rPp31o53CIXQ3R9ZY7HeG.4f441wgaSQyBVlOOd4waqUT2pwKyaYC";
/// bcrypt of nothing.
const BCRYPT_OF_EMPTY: &str = "$2b$05$j7DnUrRg.H/d3R3bG5LT7um2MbGHhtFpQ86WmTT9.Knq0kLxSzI0S";
/// Django's `bcrypt_sha256` of 100 `x`.
const BCRYPT_SHA256_OF_100: &str =
    "bcrypt_sha256$$2b$05$5gJ5GtjUxVFpzpHaCJeIF.Gg6qf98qaWM37RStj.7kDsaKD4VX8tG";

fn verify(hash: &str, password: &str) -> Result<Verified, StoredHashError> {
    let stored = Stored::parse(hash)?;
    Ok(verdict(&stored, password.as_bytes(), &mut Memory::default()).expect("memory to hash in"))
}

#[test]
fn hashes_of_other_systems_verify_and_ask_to_be_replaced() {
    for &(hash, needs_upgrade) in OF_PLAIN {
        assert_eq!(verify(hash, PLAIN), Ok(Verified::Yes { needs_upgrade }), "{hash}");
    }
    for hash in OF_UNICODE {
        assert!(matches!(verify(hash, UNICODE), Ok(Verified::Yes { .. })), "{hash}");
    }
}

#[test]
fn wrong_passwords_do_not_verify() {
    for &(hash, _) in OF_PLAIN {
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", UNICODE] {
            assert_eq!(verify(hash, wrong), Ok(Verified::No), "{hash} {wrong:?}");
        }
    }
}

#[test]
fn bcrypt_never_cuts_a_password() {
    let right = "x".repeat(71) + "y";
    for (hash, password, is_right) in [
        (BCRYPT_OF_72, right.clone(), true),
        (BCRYPT_OF_72, right.clone() + "z", false),
        (BCRYPT_OF_72, right + "\0", false),
        (BCRYPT_OF_71, "x".repeat(71), true),
        (BCRYPT_OF_71, "x".repeat(71) + "\0", false),
        (BCRYPT_OF_EMPTY, String::new(), true),
        (BCRYPT_OF_EMPTY, "\0".to_owned(), false),
        (BCRYPT_OF_EMPTY, "\0abc".to_owned(), false),
        (BCRYPT_SHA256_OF_100, "x".repeat(100), true),
        (BCRYPT_SHA256_OF_100, "x".repeat(72), false),
    ] {
        let found = verify(hash, &password).expect("a good hash");
        assert_eq!(found != Verified::No, is_right, "{hash} {password:?}");
    }
}

fn refuses(cases: &[(&str, StoredHashError)]) {
    for (stored, why) in cases {
        assert_eq!(Stored::parse(stored).map(drop), Err(*why), "{stored:?}");
    }
}

#[test]
fn text_in_no_known_format_is_refused() {
    use StoredHashError::{Malformed, Unknown};
    let long = "a".repeat(2000);
    refuses(&[
        ("", Unknown),
        ("!", Unknown),
        ("!5UOCSyhLSvYJZyVpMRpmLmXfYoHQEDLCcEhhpvjt", Unknown),
        ("hunter2", Unknown),
        ("5f4dcc3b5aa765d61d8327deb882cf99", Unknown),
        ("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", Unknown),
        ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", Unknown),
        ("$6$salt$tag", Unknown),
        ("$", Unknown),
        ("$$", Unknown),
        ("$2x$05$D7IDREgkGSi.R/qsorDM.drqJXGSheJrb/bsQqKTVbRMkOZbNgx.U", Unknown),
        ("\u{fffd}\0\u{1f511}$\u{fffd}", Unknown),
        (&long, Malformed),
    ]);
}

#[test]
fn argon2_that_is_damaged_unsalted_or_too_expensive_is_refused() {
    use StoredHashError::{Malformed, TooExpensive, Unknown, Unsalted};
    let salt = "GBw0u8cxuvQFrg1UaSzogA";
    let tag = "utjizbocfMoUwKpXS7mlzgOhtTfWtEf4hBcUc1BpXtc";
    refuses(&[
        (&format!("$argon2id$v=19$m=4194304,t=1,p=1${salt}${tag}"), TooExpensive),
        (&format!("$argon2id$v=19$m=262144,t=5,p=1${salt}${tag}"), TooExpensive),
        (&format!("$argon2id$v=19$m=19456,t=4294967295,p=1${salt}${tag}"), TooExpensive),
        (&format!("$argon2id$v=19$m=99999999999999999999,t=1,p=1${salt}${tag}"), TooExpensive),
        (&format!("$argon2id$v=19$m=19456,t=2,p=16777215${salt}${tag}"), TooExpensive),
        (&format!("$argon2id$v=19$m=0,t=2,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=0,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=0${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=64,t=2,p=64${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=+9456,t=2,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=019456,t=2,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=,t=2,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$t=2,m=19456,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=18$m=19456,t=2,p=1${salt}${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1$${tag}"), Unsalted),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${tag}"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$AAAA"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${tag}="), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$*{tag}"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${tag}$"), Malformed),
        (&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}"), Malformed),
        ("argon2$", Malformed),
        ("argon2$pbkdf2$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", Unknown),
    ]);
}

#[test]
fn bcrypt_that_is_damaged_or_too_expensive_is_refused() {
    use StoredHashError::{Malformed, TooExpensive};
    let bcrypt = "D7IDREgkGSi.R/qsorDM.drqJXGSheJrb/bsQqKTVbRMkOZbNgx.UU";
    refuses(&[
        (&format!("$2b$31${}", &bcrypt[..53]), TooExpensive),
        (&format!("$2b$16${}", &bcrypt[..53]), TooExpensive),
        (&format!("$2b$99${}", &bcrypt[..53]), TooExpensive),
        (&format!("$2b$03${}", &bcrypt[..53]), Malformed),
        (&format!("$2b$5${}", &bcrypt[..53]), Malformed),
        (&format!("$2b$+5${}", &bcrypt[..53]), Malformed),
        (&format!("$2b$05${}", &bcrypt[..52]), Malformed),
        (&format!("$2b$05${bcrypt}"), Malformed),
        (&format!("$2b$05$={}", &bcrypt[..52]), Malformed),
        (&format!("$2b$05${}\u{e9}", &bcrypt[..51]), Malformed),
        (&format!("bcrypt$2b$05${}", &bcrypt[..53]), Malformed),
        (&format!("bcrypt_sha256$$2b$31${}", &bcrypt[..53]), TooExpensive),
        ("bcrypt$$", Malformed),
    ]);
}

#[test]
fn pbkdf2_that_is_damaged_unsalted_or_too_expensive_is_refused() {
    use StoredHashError::{Malformed, TooExpensive, Unsalted};
    refuses(&[
        ("pbkdf2_sha256$1000000000$salt$AAAA", TooExpensive),
        ("pbkdf2_sha256$99999999999999$salt$AAAA", TooExpensive),
        ("pbkdf2_sha256$20000$$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs=", Unsalted),
        ("pbkdf2_sha256$20000$seasalt$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs", Malformed),
        ("pbkdf2_sha256$20000$seasalt$j6MqGg917BjmxmBPsVrVTont/ug=", Malformed),
        ("pbkdf2_sha256$0$seasalt$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs=", Malformed),
        ("pbkdf2_sha256$-1$seasalt$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs=", Malformed),
        ("pbkdf2_sha256$20000$seasalt$", Malformed),
        ("pbkdf2_sha256$20000", Malformed),
        ("pbkdf2_sha1$1000000000$salt$AAAA", TooExpensive),
    ]);
}

#[test]
fn scrypt_that_is_damaged_unsalted_or_too_expensive_is_refused() {
    use StoredHashError::{Malformed, TooExpensive, Unsalted};
    refuses(&[
        ("scrypt$1073741824$seasalt$8$5$AAAA", TooExpensive),
        ("scrypt$16384$seasalt$8$4294967295$AAAA", TooExpensive),
        ("scrypt$2$seasalt$65536$64$AAAA", TooExpensive),
        ("scrypt$16383$seasalt$8$5$AAAA", Malformed),
        ("scrypt$1$seasalt$8$5$AAAA", Malformed),
        ("scrypt$16384$seasalt$8$5$AAAA", Malformed),
        ("scrypt$16384$seasalt$0$5$AAAA", Malformed),
        ("scrypt$16384$$8$5$AAAAAAAAAAAAAAAAAAAAAAAAAAAA", Unsalted),
        ("scrypt$seasalt$16384$8$5$AAAA", Malformed),
        ("$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA", TooExpensive),
        ("$scrypt$ln=64,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA", TooExpensive),
        ("$scrypt$ln=300,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA", TooExpensive),
        ("$scrypt$ln=0,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA", Malformed),
        ("$scrypt$r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA", Malformed),
    ]);
}

#[test]
fn synthetic_hash_has_the_kind_that_it_stands_for() {
    for &(hash, _) in OF_PLAIN {
        let kind = PasswordHash::from_stored(hash.to_owned()).kind();
        let stored = Stored::synthetic(&kind).unwrap_or_else(|| panic!("{kind:?}"));
        let real = Stored::parse(hash).expect("a good hash");
        assert_eq!(stored.cost(), real.cost(), "{kind:?}");
    }
    for kind in ["unusable", "", "$2b$31", "scrypt$1073741824$8$5", "$6$salt"] {
        assert!(Stored::synthetic(&HashKind(kind.to_owned())).is_none(), "{kind}");
    }
}

/// Text that looks like a stored hash: each field may be right, huge, empty or nonsense. What is
/// cheap enough to be verified many times is.
fn nearly_stored() -> impl Strategy<Value = String> {
    let number = prop_oneof!["[1-9]", "0", "[0-9]{1,12}", "\\PC{0,3}"];
    let field = prop_oneof!["[A-Za-z0-9+/.]{0,64}={0,2}", "\\PC{0,8}", Just(String::new())];
    let name = prop_oneof![
        Just("$argon2id$v=19$"),
        Just("argon2$argon2i$"),
        Just("$2b$04$"),
        Just("bcrypt$$2a$"),
        Just("bcrypt_sha256$$2y$04$"),
        Just("pbkdf2_sha256$"),
        Just("pbkdf2_sha1$"),
        Just("scrypt$16$"),
        Just("$scrypt$"),
    ];
    let params = prop_oneof![
        (number.clone(), number.clone(), number.clone())
            .prop_map(|(m, t, p)| format!("m={m},t={t},p={p}")),
        (number.clone(), number.clone(), number.clone())
            .prop_map(|(n, r, p)| format!("ln={n},r={r},p={p}")),
        number,
        field.clone(),
    ];
    (name, params, proptest::collection::vec(field, 0..4))
        .prop_map(|(name, params, fields)| format!("{name}{params}${}", fields.join("$")))
}

proptest! {
    #[test]
    fn any_stored_text_is_read_without_panic(text in prop_oneof![any::<String>(), nearly_stored()]) {
        let kind = PasswordHash::from_stored(text.clone()).kind();
        let _any = Stored::synthetic(&kind);
        if let Ok(stored) = Stored::parse(&text) {
            // The dearest that are accepted take seconds each: too long to be tried by the hundred.
            if stored.cost() <= 2048 {
                verdict(&stored, b"guess", &mut Memory::default()).expect("memory to hash in");
            }
        }
    }
}
