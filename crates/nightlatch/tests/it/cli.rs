//! The command line beside a running server: another process changes the record, and the server
//! obeys.

use std::fs::{self, File};
use std::process::Output;

use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};

use crate::person::{LIMIT, PASSWORD, Person};
use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    an_operator_adds_a_user_who_logs_in_and_sees_what_is_changed,
    sessions_that_an_operator_ends_are_refused_by_the_running_server,
    who_is_disabled_or_deleted_is_out_and_cannot_come_back,
    a_new_password_by_an_operator_ends_every_session_and_the_old_password,
    imported_users_log_in_with_the_passwords_they_had,
);

const NEXT_PASSWORD: &str = "copper-lantern-meadow-58";

/// A bcrypt hash of [`PASSWORD`], as another system made it.
const FOREIGN_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuszQp.kxDfcKJ/.WVjdS4lgOCgVO2I32";

async fn an_operator_adds_a_user_who_logs_in_and_sees_what_is_changed(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let add = ["user", "add", "Ada", "--email", "ada@example.org", "--display-name", "Ada L."];
    assert_eq!(done(server.command_given(&add, PASSWORD)), "added Ada\n");
    let mut person = Person::new(server, "ada");
    person.log_in().await;

    assert_eq!(
        server.command(&["user", "set-groups", "ada", "staff", "admins"]).lines().count(),
        1
    );
    let _ = server.command(&["user", "verify-email", "ada@example.org"]);
    wait_until("the running server hears of the groups and the e-mail", LIMIT, async || {
        let user = &person.session().await.json()["user"];
        user["groups"] == json!(["admins", "staff"]) && user["email_verified"] == json!(true)
    })
    .await;
    let user = person.session().await.json()["user"].clone();
    assert_eq!(user["name"], json!("Ada L."));

    let shown: Value = json_of(server, &["user", "show", "ADA", "--json"]);
    assert_eq!(shown["user"]["id"], user["id"]);
    let listed = json_of(server, &["user", "list", "--json"]);
    assert_eq!(listed["users"].as_array().expect("a list").len(), 1);
    let again = server.command_given(&add, PASSWORD);
    assert_eq!(again.status.code(), Some(1), "{}", talk(&again));
    assert!(talk(&again).contains("is taken"), "{}", talk(&again));
}

async fn sessions_that_an_operator_ends_are_refused_by_the_running_server(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut grace = Person::logged_in(server, "grace").await;
    let mut on_phone = grace.on_another_device(server).await;
    let mut edsger = Person::logged_in(server, "edsger").await;

    let listed = json_of(server, &["session", "list", "--json"]);
    let sessions = listed["sessions"].as_array().expect("a list");
    assert_eq!((sessions.len(), &listed["truncated"]), (3, &json!(false)));
    let id = on_phone.session_id().await;
    let row = sessions.iter().find(|session| session["id"] == id.as_str()).expect("it is listed");
    assert_eq!((&row["username"], &row["address"]), (&json!("grace"), &json!("127.0.0.1")));

    let _ = server.command(&["session", "revoke", &id]);
    on_phone.is_logged_out_within_s().await;
    assert_eq!(grace.session().await.status, 200);
    let again = server.command_given(&["session", "revoke", &id], "");
    assert_eq!(again.status.code(), Some(1), "what is over cannot be ended");

    on_phone.log_in().await;
    assert_eq!(
        server.command(&["session", "revoke", "--user", "grace"]),
        "ended 2 sessions of grace\n"
    );
    on_phone.is_logged_out_within_s().await;
    grace.is_logged_out_within_s().await;
    assert_eq!(edsger.session().await.status, 200);

    grace.log_in().await;
    let _ = server.command(&["session", "revoke", "--all"]);
    edsger.is_logged_out_within_s().await;
    grace.is_logged_out_within_s().await;
    assert_eq!(edsger.log_in().await.status, 200, "who is revoked may log in again");
}

async fn who_is_disabled_or_deleted_is_out_and_cannot_come_back(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut person = Person::logged_in(server, "barbara").await;
    let _ = server.command(&["user", "disable", "barbara"]);
    person.is_logged_out_within_s().await;
    assert_problem(&person.try_password(PASSWORD).await, 401, "invalid_credentials");
    let _ = server.command(&["user", "enable", "barbara"]);
    assert_problem(&person.session().await, 401, "no_session");
    person.log_in().await;

    let unsure = server.command_given(&["user", "delete", "barbara"], "y\n");
    assert_eq!(unsure.status.code(), Some(2), "{}", talk(&unsure));
    assert_eq!(person.session().await.status, 200);
    let _ = server.command(&["user", "delete", "barbara", "--yes"]);
    person.is_logged_out_within_s().await;
    assert_problem(&person.try_password(PASSWORD).await, 401, "invalid_credentials");
    let mut namesake = Person::logged_in(server, "barbara").await;
    assert_problem(&person.session().await, 401, "no_session");
    assert_eq!(namesake.session().await.status, 200);
}

async fn a_new_password_by_an_operator_ends_every_session_and_the_old_password(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut person = Person::logged_in(server, "tony").await;
    let set = ["user", "set-password", "tony"];
    let weak = server.command_given(&set, "password\n");
    assert_eq!(weak.status.code(), Some(1));
    assert_eq!(person.session().await.status, 200, "a weak password changes nothing");

    let output = server.command_given(&set, NEXT_PASSWORD);
    assert!(!talk(&output).contains(NEXT_PASSWORD));
    assert!(!done(output).contains(NEXT_PASSWORD));
    person.is_logged_out_within_s().await;
    assert_problem(&person.try_password(PASSWORD).await, 401, "invalid_credentials");
    assert_eq!(person.try_password(NEXT_PASSWORD).await.status, 200);
}

async fn imported_users_log_in_with_the_passwords_they_had(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let users = format!("username,password,groups\nleslie,{FOREIGN_HASH},staff\nnobody,plain,\n");
    let import = ["user", "import", "-"];
    let output = server.command_given(&import, &users);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("line 3: nobody: "), "{said}");
    assert!(said.ends_with("created 1, there already 0, refused 1\n"), "{said}");

    let mut person = Person::new(server, "leslie");
    let answer = person.log_in().await;
    assert_eq!(answer.json()["user"]["groups"], json!(["staff"]));
    let users = users.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(
        done(server.command_given(&import, &users)),
        "created 0, there already 1, refused 0\n"
    );
    assert_eq!(person.session().await.status, 200, "another import leaves alone who is there");
}

#[test]
fn a_database_that_is_away_is_named_with_its_class_and_without_its_password() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let launch = launch().set("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x");
    for arguments in [
        &["user", "list"][..],
        &["user", "disable", "ada"],
        &["session", "revoke", "--all"],
        &["migrate"],
    ] {
        let output = launch.command(folder.path(), arguments).output().expect("it starts");
        let said = talk(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("(unreachable)") && said.contains("what to do: "), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn hashes_are_verified_line_by_line_without_a_database() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let lines = folder.path().join("lines");
    let right = json!({ "id": 1, "hash": FOREIGN_HASH, "password": PASSWORD });
    let wrong = json!({ "id": "b", "hash": FOREIGN_HASH, "password": NEXT_PASSWORD });
    fs::write(&lines, format!("{right}\n{wrong}\n")).expect("our folder");
    let launch = launch().set("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x");
    let mut command = launch.command(folder.path(), &["debug", "verify-hash"]);
    let input = File::open(&lines).expect("it was just written");
    let printed = done(command.stdin(input).output().expect("it starts"));
    let answers: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = [
        json!({ "id": 1, "ok": true, "needs_upgrade": true }),
        json!({ "id": "b", "ok": false, "needs_upgrade": false }),
    ];
    assert_eq!(answers, expected);
}

fn json_of(server: &NightlatchServer, arguments: &[&str]) -> Value {
    let printed = server.command(arguments);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What a command printed that must have done what it was asked for.
fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", talk(&output));
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Of whatever application, with no server and no sound configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_examines_a_file_and_tells_scripts_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(".env");
    let doctor = |arguments: &[&str]| {
        let arguments = [&["doctor", "env"], arguments].concat();
        // What this says elsewhere is nobody's business here.
        let launch = launch().set("REDIS_URL", "nonsense").set("ENVIRONMENT", "production");
        launch.command(folder.path(), &arguments).output().expect("it runs")
    };
    for (text, arguments, code, summary) in [
        ("REDIS_URL=redis://h:6379/0\n", &[][..], 0, "nothing wrong was found"),
        ("REDIS_SESSION_URL=redis://h/0\nREDIS_CACHE_URL=redis://h/0\n", &[], 0, "1 warning"),
        (
            "REDIS_SESSION_URL=redis://h/0\nREDIS_CACHE_URL=redis://h/0\n",
            &["--strict"],
            1,
            "1 warning",
        ),
        ("REDIS_URL=redis://:sesame#1@h/0\n", &[], 1, "1 error"),
        ("A=1\nREDIS_URL=redis://:sesame@1@h/0\n", &["--json"], 1, "1 error"),
    ] {
        fs::write(&file, text).expect("our folder takes a file");
        let answer = doctor(arguments);
        let out = String::from_utf8(answer.stdout.clone()).expect("it is text");
        assert_eq!(answer.status.code(), Some(code), "{text}: {out}{}", talk(&answer));
        assert!(out.contains(summary) && !out.contains("sesame"), "{text}: {out}");
        if arguments == ["--json"] {
            let said: Value = serde_json::from_str(&out).expect("it is JSON");
            let [finding] = &said["findings"].as_array().expect("a list")[..] else {
                panic!("there is one: {out}")
            };
            for (member, value) in [
                ("id", json!("redis-password-unencoded")),
                ("level", json!("error")),
                ("name", json!("REDIS_URL")),
                ("source", json!(".env")),
                ("line", json!(2)),
                ("column", json!(11)),
                ("text", json!("redis://***@h/0")),
                ("fix", json!("REDIS_URL=redis://:PASSWORD@h:6379/0")),
            ] {
                assert_eq!(finding[member], value, "{member}");
            }
        }
    }
    fs::remove_file(&file).expect("it is there");
    assert_eq!(doctor(&[]).status.code(), Some(1));
}
