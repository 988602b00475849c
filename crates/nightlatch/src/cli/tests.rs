//! The commands, played by a test in the place of the person, on an SQLite file of their own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use nightlatch_core::service::{LoginError, LoginRequest};
use nightlatch_core::{
    Actor, AddressPrefix, Client, NewSession, Password, Session, SessionId, TokenHash, User,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::args::{Cli, Command};
use super::console::tests::{Played, play};
use super::node::{IfAbsent, with_node};
use super::{FAILURE, FINE, WrongUsage, backup, session, user};
use crate::app::{Node, limits_by_scope};
use crate::config::{Config, Loaded};

const PASSWORD: &str = "correct horse battery";
const HASH: &str = "$2b$05$UD7IDREgkGSi.R/qsorDM.drqJXGSheJrb/bsQqKTVbRMkOZbNgx.";

/// A directory with a database that is not there yet.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn loaded(&self) -> Loaded {
        let url = format!("sqlite://{}", self.path("x.db").display());
        Config::from_values([("DATABASE_URL", url.as_str())]).unwrap()
    }

    /// Runs a command line to which `typed` is given on stdin, or at a terminal.
    fn play(&self, line: &str, typed: &str, is_interactive: bool) -> Played<anyhow::Result<u8>> {
        let words = std::iter::once("nightlatch").chain(line.split_whitespace());
        let (_, command) = Cli::try_parse_from(words).expect(line).into_command();
        play(typed, is_interactive, |console| match command {
            Command::User(command) => user::run(command, self.loaded(), console),
            Command::Session(command) => session::run(command, self.loaded(), console),
            Command::Backup { file } => {
                backup::run(&self.0.path().join(file), self.loaded(), console)
            }
            other => panic!("{other:?} is tested elsewhere"),
        })
    }

    /// Runs one that must do what it is asked for; what it wrote.
    fn run(&self, line: &str, typed: &str) -> String {
        let played = self.play(line, typed, false);
        let code = played.result.unwrap_or_else(|error| panic!("{line}: {error:#}"));
        assert_eq!(code, FINE, "{line}: {}{}", played.out, played.err);
        assert!(!format!("{}{}", played.out, played.err).contains(PASSWORD), "{line}");
        played.out
    }

    /// Runs one that must fail; the error.
    fn fail(&self, line: &str, typed: &str) -> anyhow::Error {
        self.play(line, typed, false).result.expect_err(line)
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(line, "")).unwrap()
    }

    fn import(&self, content: &str, arguments: &str) -> Played<anyhow::Result<u8>> {
        self.play(&format!("user import - {arguments}"), content, false)
    }

    fn login(&self, name: &str) -> bool {
        let played = play("", false, |console| {
            with_node(self.loaded(), IfAbsent::Refuse, console, async |node, _| {
                let limits = limits_by_scope(&self.loaded().config);
                node.throttle.load(&limits, node.soon()).await?;
                let request = LoginRequest {
                    login: name.to_owned(),
                    password: Password::try_new(PASSWORD.to_owned())?,
                    remember: false,
                    client: Client { address: [127, 0, 0, 1].into(), user_agent: "curl".into() },
                    device: None,
                    earlier: None,
                    request_id: String::new(),
                };
                let login = node.service.login(request, node.after_hashing()).await;
                match login {
                    Ok(_) => Ok(FINE),
                    Err(LoginError::InvalidCredentials) => Ok(FAILURE),
                    Err(error) => Err(error.into()),
                }
            })
        });
        played.result.unwrap() == FINE
    }

    fn live_sessions(&self) -> Vec<Value> {
        self.json("session list --json")["sessions"].as_array().unwrap().clone()
    }
}

#[test]
fn a_user_is_added_shown_changed_and_deleted() {
    let place = Place::new();
    let added = place.play("user add Alice --email a@example.com", PASSWORD, false);
    assert_eq!(added.result.unwrap(), FINE);
    assert_eq!(added.out, "added Alice\n");
    assert!(added.err.starts_with("created the database "), "{}", added.err);
    assert!(place.login("alice"));

    place.run("user set-groups alice b a", "");
    place.run("user verify-email A@example.com", "");
    let shown = place.json("user show alice --json");
    let user = &shown["user"];
    assert_eq!((&user["username"], &user["email_verified"]), (&"Alice".into(), &true.into()));
    assert_eq!(user["groups"], serde_json::json!(["a", "b"]));
    assert!(user["password"].as_str().unwrap().starts_with("$argon2id$m="), "{shown}");
    let text = place.run("user show alice", "");
    assert!(text.contains("e-mail    a@example.com (verified)\n"), "{text}");
    assert_eq!(place.run("user set-groups alice", ""), "Alice is in no group now\n");

    place.run("user delete alice --yes", "");
    assert!(!place.login("alice"));
    assert_eq!(place.json("user list --json")["users"], serde_json::json!([]));
    assert!(place.fail("user show alice", "").to_string().contains("user list"));
}

#[test]
fn what_is_taken_or_weak_is_refused_in_words() {
    let place = Place::new();
    let empty = place.fail("user list", "").to_string();
    assert!(empty.contains("(missing)") && empty.contains("--env-file"), "{empty}");
    assert!(!place.path("x.db").exists(), "a question makes no database");

    place.run("user add bob --no-password --email b@example.com", "");
    assert!(!place.login("bob"));
    for (line, typed, words) in [
        ("user add BOB", PASSWORD, "the user name BOB is taken"),
        ("user add carl --email B@example.com", PASSWORD, "B@example.com is taken"),
        ("user add carl", "password\n", "Nothing was changed"),
        ("user add carl", "", "stdin"),
        ("user enable nobody", "", "there is no user"),
        ("session revoke 018f", "", "no live session"),
    ] {
        let refused = place.fail(line, typed).to_string();
        assert!(refused.contains(words), "{line}: {refused}");
    }
    assert_eq!(place.json("user list --json")["users"].as_array().unwrap().len(), 1);
}

#[test]
fn disabling_a_new_password_and_revoking_end_sessions() {
    let place = Place::new();
    place.run("user add alice", PASSWORD);
    place.run("user add bob", PASSWORD);
    let log_in = || assert!(place.login("alice") && place.login("bob"));
    log_in();

    place.run("user disable alice", "");
    assert!(!place.login("alice"));
    let set = place.play("user set-password alice", PASSWORD, false);
    assert_eq!(set.result.unwrap(), FINE);
    assert!(set.err.contains("nightlatch user enable alice"), "{}", set.err);
    assert!(!place.login("alice"), "a new password opens no locked account");
    place.run("user enable alice", "");
    assert_eq!(place.live_sessions().len(), 1, "enabling brings no session back");

    log_in();
    place.run("user set-password bob", PASSWORD);
    let sessions = place.live_sessions();
    assert!(sessions.iter().all(|session| session["username"] == "alice"), "{sessions:?}");

    let id = sessions[0]["id"].as_str().unwrap();
    place.run(&format!("session revoke {id}"), "");
    place.fail(&format!("session revoke {id}"), "");
    assert_eq!(place.live_sessions().len(), 0);

    log_in();
    assert_eq!(place.run("session revoke --user alice", ""), "ended 1 session of alice\n");
    assert_eq!(place.json("session list --user bob --json")["sessions"][0]["user_agent"], "curl");
    assert!(place.run("session revoke --all", "").starts_with("ended 1 session"));
    assert_eq!(place.run("session list", ""), "");
}

#[test]
fn all_sessions_are_listed_however_many_pages_they_are() {
    const SESSIONS: usize = 1203;
    const AT_ONCE: usize = 100;
    let place = Place::new();
    place.run("user add alice --no-password", "");
    place.run("user add bob --no-password", "");
    let played = play("", false, |console| {
        with_node(place.loaded(), IfAbsent::Refuse, console, async |node, _| {
            let record = node.base.record.port();
            let mut logins = JoinSet::new();
            for number in 0..SESSIONS {
                let name = ["alice", "bob"][number % 2];
                let user = node.service.find_user(name, node.soon()).await?.expect("was added");
                let session = new_session(node, &user, number);
                let (record, deadline) = (Arc::clone(&record), node.after_many_rows());
                let home = AddressPrefix::of([127, 0, 0, 1].into());
                // The record takes only so many at once.
                if logins.len() == AT_ONCE {
                    assert!(matches!(logins.join_next().await, Some(Ok(Ok(Some(_))))));
                }
                logins.spawn(async move {
                    record.create_session(session, home, Actor::node(), deadline).await
                });
            }
            assert!(logins.join_all().await.iter().all(|made| matches!(made, Ok(Some(_)))));
            Ok(FINE)
        })
    });
    assert_eq!(played.result.unwrap(), FINE);

    let listed = place.json("session list --json");
    assert_eq!(listed["truncated"], false);
    let sessions = listed["sessions"].as_array().unwrap();
    let ids: Vec<&str> = sessions.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "newest first, and each once");
    assert_eq!(ids.len(), SESSIONS);
    let of_bob = sessions.iter().filter(|session| session["username"] == "bob").count();
    assert_eq!(of_bob, SESSIONS / 2);
    let table = place.run("session list", "");
    assert_eq!(table.lines().count(), SESSIONS + 1, "one header");
    assert_eq!(place.json("session list --user bob --json")["truncated"], true);
}

fn new_session(node: &Node, user: &User, number: usize) -> NewSession {
    let (entropy, now) = (node.service.entropy(), node.service.now());
    let mut token = [0; 32];
    token[..8].copy_from_slice(&number.to_le_bytes());
    NewSession {
        session: Session {
            id: SessionId::fresh(entropy, now),
            user_id: user.id,
            created_at: now,
            last_seen_at: now,
            expires_at: now.after(Duration::from_hours(1)),
            remember: false,
            client: Client { address: [127, 0, 0, 1].into(), user_agent: "curl".into() },
        },
        token: TokenHash::from_bytes(token),
        generation: user.generation,
        replaces: None,
        refresh: None,
    }
}

#[test]
fn deleting_asks_at_a_terminal_and_nowhere_else() {
    let place = Place::new();
    place.run("user add alice --no-password", "");
    let declined = place.play("user delete alice", "n\n", true);
    assert_eq!(declined.result.unwrap(), FAILURE);
    assert!(declined.err.contains("Delete alice") && declined.out.is_empty(), "{}", declined.err);
    assert!(place.fail("user delete alice", "y\n").is::<WrongUsage>());
    assert_eq!(place.play("user delete alice", "y\n", true).result.unwrap(), FINE);
}

#[test]
fn an_import_counts_names_and_can_be_run_again() {
    let place = Place::new();
    let csv = format!(
        "username,email,password\nann,ann@example.com,{HASH}\nbob,,md5$a$b\n\nann,x@example.com,\n"
    );
    let first = place.import(&csv, "");
    assert_eq!(first.result.unwrap(), FAILURE);
    assert!(first.out.contains("line 3: bob: "), "{}", first.out);
    assert!(first.out.ends_with("created 1, there already 0, refused 2\n"), "{}", first.out);

    let again = place.import(&csv, "--json --format csv");
    let json: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&json["created"], &json["present"]), (&0.into(), &1.into()));
    assert_eq!((&json["refused"][0]["line"], &json["error"]), (&3.into(), &Value::Null));

    let taken = place.import("username,email\nann,other@example.com\ncat,ANN@example.com\n", "");
    assert_eq!(taken.result.unwrap(), FAILURE);
    assert!(taken.out.contains("line 2: ann: the name is there"), "{}", taken.out);
    assert!(taken.out.contains("line 3: cat: the e-mail address is"), "{}", taken.out);
}

#[test]
fn an_import_that_breaks_says_how_far_it_came() {
    let place = Place::new();
    let users = (0..1200).map(|n| format!("user{n}")).collect::<Vec<_>>().join("\n");
    let broken = format!("username\n{users}\n\"{}", "x".repeat(2 * 1024 * 1024));
    let played = place.import(&broken, "--json");
    assert!(played.result.unwrap_err().to_string().contains("ended early"));
    let json: Value = serde_json::from_str(&played.out).unwrap();
    assert_eq!(json["created"], 1200);
    assert!(json["error"].as_str().unwrap().contains("line 1202"), "{json}");

    let listed = place.json("user list --json");
    assert_eq!(listed["users"].as_array().unwrap().len(), 1200, "more than two pages");
    assert_eq!(place.run("user list", "").lines().count(), 1 + 1200, "one header");
}

#[test]
fn a_backup_is_a_database_and_overwrites_nothing() {
    let place = Place::new();
    place.fail("backup copy.db", "");
    place.run("user add alice --no-password", "");
    place.run("backup copy.db", "");
    assert!(place.fail("backup copy.db", "").to_string().contains("copying to"));
    fs::rename(place.path("copy.db"), place.path("x.db")).unwrap();
    assert!(place.run("user list", "").contains("alice"));
}

#[test]
fn a_backup_of_another_database_names_the_tool_for_it() {
    let loaded = Config::from_values([("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")]);
    let played =
        play("", false, |console| backup::run(&PathBuf::from("copy.db"), loaded.unwrap(), console));
    let refused = played.result.unwrap_err().to_string();
    assert!(refused.contains("pg_dump") && !refused.contains("hunter2"), "{refused}");
}
