//! Files as people have them, and files that are broken.

use nightlatch_core::SystemEntropy;
use proptest::prelude::*;

use super::*;

const BCRYPT: &str = "$2b$05$UD7IDREgkGSi.R/qsorDM.drqJXGSheJrb/bsQqKTVbRMkOZbNgx.";
const DJANGO: &str = "pbkdf2_sha256$20000$seasalt$PDreldzwYPOpKh3xbyyZ9btv0tSDrxWG54nNT3muDYs=";

/// 2026-11-01T00:00:00Z
const NOW: Timestamp = Timestamp::from_micros(1_793_491_200_000_000);

#[derive(Debug, Default)]
struct Read {
    users: Vec<(u64, ImportUser)>,
    refused: Vec<RefusedUser>,
    error: Option<ImportError>,
}

impl Read {
    fn names(&self) -> Vec<&str> {
        self.users.iter().map(|(_, user)| user.username.as_str()).collect()
    }

    fn user(&self, name: &str) -> &ImportUser {
        let found = self.users.iter().find(|(_, user)| user.username.as_str() == name);
        &found.unwrap_or_else(|| panic!("{name} is missing: {self:?}")).1
    }

    fn reasons(&self) -> Vec<(u64, &str)> {
        self.refused.iter().map(|refused| (refused.line, refused.reason.as_str())).collect()
    }
}

fn import_as(bytes: &[u8], format: Option<Format>) -> Read {
    let mut read = Read::default();
    let origin = Origin { now: NOW, entropy: &SystemEntropy };
    let entries = match super::read(bytes, format, origin) {
        Ok(entries) => entries,
        Err(error) => return Read { error: Some(error), ..read },
    };
    for entry in entries {
        match entry {
            Ok(Imported::User { line, user }) => read.users.push((line, *user)),
            Ok(Imported::Refused(refused)) => read.refused.push(refused),
            Err(error) => read.error = Some(error),
        }
    }
    read
}

fn import(text: &str) -> Read {
    import_as(text.as_bytes(), None)
}

#[test]
fn csv_is_read_with_every_column() {
    let read = import(&format!(
        "username,email,name,password,groups,is_active,email_verified,date_joined,shoe size\r\n\
         ann,Ann@Example.org,Ann Äpfel,{BCRYPT},\"staff,ops; x\",true,1,2020-01-02T03:04:05Z,38\r\n\
         \r\n\
         bob,,,,,no,,,\r\n"
    ));
    assert!(read.error.is_none() && read.refused.is_empty(), "{read:?}");
    let ann = read.user("ann");
    assert_eq!(ann.email.as_ref().map(nightlatch_core::Email::as_str), Some("Ann@Example.org"));
    assert_eq!((ann.name.as_str(), ann.email_verified, ann.enabled), ("Ann Äpfel", true, true));
    assert_eq!(ann.groups.as_slice(), ["ops", "staff", "x"]);
    assert_eq!(ann.hash.as_ref().map(nightlatch_core::PasswordHash::expose), Some(BCRYPT));
    assert_eq!(ann.created_at.to_rfc3339(), "2020-01-02T03:04:05Z");
    let bob = read.user("bob");
    assert!(bob.hash.is_none() && bob.email.is_none() && !bob.enabled && !bob.email_verified);
    assert_eq!(bob.created_at, NOW);
    assert_eq!(read.users[0].0, 2);
    assert_ne!(ann.id, bob.id);
}

#[test]
fn spreadsheets_and_windows_are_understood() {
    for text in [
        "\u{feff}User Name;E-Mail;Password Hash\r\nann;a@b.c;HASH\r\n",
        "login\tmail\thashed_password\nann\ta@b.c\tHASH",
        "\"username\",\"email\",\"password\"\n\"ann\",\"a@b.c\",\"HASH\"\n",
        "\u{feff}{\"username\":\"ann\",\"email\":\"a@b.c\",\"hash\":\"HASH\"}\r\n\r\n",
    ] {
        let read = import(&text.replace("HASH", BCRYPT));
        assert_eq!(read.names(), ["ann"], "{text}: {read:?}");
        assert!(read.user("ann").hash.is_some() && read.user("ann").email.is_some(), "{text}");
    }
}

#[test]
fn what_cannot_be_taken_is_said_with_line_and_reason_and_the_rest_goes_on() {
    let read = import(&format!(
        "username,email,password,is_active\n\
         ann,a@b.c,{BCRYPT},1\n\
         a b,,{BCRYPT},1\n\
         ,x@b.c,{BCRYPT},1\n\
         carl,no address,,1\n\
         dora,,hunter2,1\n\
         emil,,$2b$31${},1\n\
         fritz,,,perhaps\n\
         gerd,,\n\
         ANN,,,1\n\
         hans,A@B.C,,1\n\
         \"multi\nline\",,,1\n\
         ina,,!unusable,1\n",
        ".".repeat(53)
    ));
    assert_eq!(read.names(), ["ann", "ina"]);
    assert_eq!(
        read.reasons(),
        [
            (3, "a user name has letters, digits and marks only, without blanks"),
            (4, "it has no username"),
            (5, "this is not an e-mail address"),
            (6, "its password hash cannot be used: it is not in a format that can be verified"),
            (7, "its password hash cannot be used: verifying it would cost too much"),
            (8, "its is_active is neither true nor false"),
            (9, "it has 3 columns, the header 4"),
            (10, "line 2 has the same username"),
            (11, "line 2 has the same e-mail address"),
            (12, "a user name has letters, digits and marks only, without blanks"),
        ]
    );
    assert_eq!(read.refused[9].name.as_deref(), Some("multi\\nline"));
    assert_eq!(read.user("ina").hash, None);
    assert!(!format!("{:?}", read.refused).contains("hunter2"));
}

#[test]
fn json_lines_take_texts_flags_and_lists() {
    let read = import(&format!(
        concat!(
            r#"{{"username":"ann","password_hash":"{}","groups":["b","a"],"enabled":false}}"#,
            "\n",
            r#"{{"username":"bob","first_name":"Bob","last_name":"Jones","is_active":1}}"#,
            "\n[1]\n{{\n",
            r#"{{"username":"carl","hash":"x","password":"y"}}"#,
            "\n",
            r#"{{"username":7}}"#,
            "\n",
            r#"{{"username":"dora","groups":[1]}}"#,
            "\n",
            r#"{{"username":"emil","email":null,"groups":"x;y"}}"#,
        ),
        DJANGO
    ));
    assert_eq!(read.names(), ["ann", "bob", "emil"]);
    assert!(!read.user("ann").enabled);
    assert_eq!(read.user("ann").groups.as_slice(), ["a", "b"]);
    assert_eq!(read.user("bob").name, "Bob Jones");
    assert_eq!(read.user("emil").groups.as_slice(), ["x", "y"]);
    assert_eq!(
        read.reasons(),
        [
            (3, "it is not a JSON object"),
            (4, "it is not a JSON object"),
            (5, "two members both mean password"),
            (6, "its username is not a text"),
            (7, "its groups are not all names"),
        ]
    );
}

/// As `dumpdata auth --indent 2` writes it, users before their groups.
fn dump() -> String {
    format!(
        r#"[
{{
  "model": "auth.user",
  "pk": 1,
  "fields": {{
    "password": "{DJANGO}", "last_login": null, "is_superuser": true, "username": "admin",
    "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org",
    "is_staff": true, "is_active": true, "date_joined": "2021-05-06T07:08:09.123Z",
    "groups": [2, 1], "user_permissions": []
  }}
}},
{{"model": "auth.user", "pk": 2, "fields": {{"password": "!abc", "username": "bob",
  "email": "", "is_active": false, "groups": [["editors"]]}}}},
{{"model": "auth.user", "pk": 3, "fields": {{"password": "", "username": "carl", "groups": [9]}}}},
{{"model": "auth.user", "pk": 4, "fields": {{"password": "md5$a$b", "username": "dora"}}}},
{{"model": "auth.permission", "pk": 1, "fields": {{"name": "Can add"}}}},
{{"model": "auth.group", "pk": 1, "fields": {{"name": "editors", "permissions": []}}}},
{{"model": "auth.group", "pk": 2, "fields": {{"name": "staff", "permissions": []}}}}
]
"#
    )
}

#[test]
fn django_dump_is_read_with_groups_that_follow() {
    let read = import(&dump());
    assert_eq!(read.names(), ["admin", "bob"], "{read:?}");
    let ada = read.user("admin");
    assert_eq!((ada.name.as_str(), ada.enabled), ("Ada Lovelace", true));
    assert_eq!(ada.groups.as_slice(), ["editors", "staff"]);
    assert_eq!(ada.hash.as_ref().map(nightlatch_core::PasswordHash::expose), Some(DJANGO));
    assert_eq!(ada.created_at.to_rfc3339(), "2021-05-06T07:08:09Z");
    let bob = read.user("bob");
    assert!(bob.hash.is_none() && bob.email.is_none() && !bob.enabled);
    assert_eq!(bob.groups.as_slice(), ["editors"]);
    assert_eq!(
        read.reasons(),
        [
            (14, "it is in a group that the dump does not name"),
            (15, "its password hash cannot be used: it is not in a format that can be verified"),
        ]
    );
    assert_eq!(read.refused[0].name.as_deref(), Some("carl"));
}

#[test]
fn django_dump_as_lines_is_told_from_plain_lines() {
    let lines: String = [
        r#"{"model": "accounts.user", "pk": 1, "fields": {"username": "ann", "groups": [1]}}"#,
        r#"{"model": "auth.group", "pk": 1, "fields": {"name": "editors"}}"#,
    ]
    .join("\n");
    let read = import(&lines);
    assert_eq!(read.user("ann").groups.as_slice(), ["editors"]);
}

#[test]
fn damaged_dump_is_refused_as_a_whole_with_the_line() {
    let whole = dump();
    let cut = &whole[..whole.find("\"pk\": 3").expect("carl")];
    let read = import(cut);
    assert!(read.users.is_empty() && read.refused.is_empty(), "{read:?}");
    assert!(matches!(read.error, Some(ImportError::Malformed { line: 14, .. })), "{read:?}");
}

#[test]
fn files_that_are_none_are_refused() {
    for (bytes, why) in [
        (&b""[..], "the first line must name the columns, one of them `username`"),
        (b"a,b\n1,2\n", "the first line must name the columns, one of them `username`"),
        (b"username\rann\rbob\r", "the first line must name the columns, one of them `username`"),
        (b"\xff\xfeu\0s\0", "the file is UTF-16; save it as UTF-8"),
        (b"username,hash,password\n", "two columns of the header both mean password"),
        (b"[]", "the dump has no users; `manage.py dumpdata auth` writes them"),
        (b"[7]", "line 1 is not a model of a Django dump"),
    ] {
        let error = import_as(bytes, None).error.expect("refused");
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_by_their_entry() {
    let read = import_as(b"username,name\nann,\xff\nbob,\nc\xffarl,\n", None);
    assert_eq!(read.names(), ["bob"]);
    assert_eq!(read.reasons(), [(2, "its name is not UTF-8"), (4, "its username is not UTF-8")]);
}

#[test]
fn entry_without_end_is_not_read_into_memory() {
    let csv = format!("username,name\nann,\nbob,\"{}", "x\n".repeat(2 << 20));
    let read = import(&csv);
    assert_eq!(read.names(), ["ann"]);
    assert!(matches!(read.error, Some(ImportError::EntryTooLong { line: 3 })), "{:?}", read.error);
    let lines = format!("{{\"username\":\"{}\"}}\n{{\"username\":\"ann\"}}\n", "x".repeat(2 << 20));
    let read = import(&lines);
    assert_eq!(read.names(), ["ann"]);
    assert_eq!(read.reasons(), [(1, "it is longer than 1024 KiB")]);
}

#[test]
fn given_format_wins_over_the_content() {
    let read = import_as(b"{\"username\":\"ann\"}", Some(Format::Csv));
    assert!(matches!(read.error, Some(ImportError::NoHeader)));
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            "username,[a-z]{0,5}\n(\\PC{0,9},?\"?\n?){0,20}".prop_map(String::into_bytes),
            "(\\{\"username\": ?\"\\PC{0,9}\"\\},?\n?){0,9}".prop_map(String::into_bytes),
            "\\[(\\{\"model\":\"a.user\",\"fields\":\\{\\}\\}[,\n]?){0,9}\\]?"
                .prop_map(String::into_bytes),
        ],
        format in proptest::option::of(prop_oneof![
            Just(Format::Csv),
            Just(Format::JsonLines),
            Just(Format::Django),
        ]),
    ) {
        let read = import_as(&bytes, format);
        prop_assert!(read.users.len() + read.refused.len() <= bytes.len());
    }
}
