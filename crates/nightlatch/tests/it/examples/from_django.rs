//! `docs/from-django.md`, there and back: an existing project with its users, followed to the letter.

use std::fs;
use std::path::Path;

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::curl::Curl;
use nightlatch_testkit::gateway::{Gateway, Kind};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::process::{ServerProcess, free_port};
use nightlatch_testkit::server::NightlatchServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::django::log_in;
use super::guide::{Guide, start, type_in, with};
use crate::forward_auth::{APP, as_in_the_guide};
use crate::person::PASSWORD;

/// The project's own pages: who somebody is, and a login of its own.
const URLS: &str = r#"
import json

from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


@login_required
def home(request):
    groups = ",".join(request.user.groups.values_list("name", flat=True))
    return HttpResponse(f"{request.user.pk} {request.user.username} [{groups}]")


@csrf_exempt
def log_in(request):
    user = authenticate(request, **json.loads(request.body))
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    return HttpResponse("welcome")


urlpatterns = [path("", home), path("login/", log_in)]
"#;

/// People with passwords, one in a group, one who may not log in.
const PEOPLE: &str = r#"
from django.contrib.auth.models import Group, User
staff = Group.objects.create(name="staff")
User.objects.create_user("nobody-in-particular").delete()
alice = User.objects.create_user("alice", "alice@example.org", "violet-anchor-parade-47")
alice.groups.add(staff)
User.objects.create_user("bob", "bob@example.org", "violet-anchor-parade-48")
User.objects.create_user("carol", None, "violet-anchor-parade-49", is_active=False)
"#;

const BOBS_PASSWORD: &str = "violet-anchor-parade-48";

/// A project as `django-admin` makes it.
struct Project {
    folder: TempDir,
    port: u16,
}

impl Project {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let project = Self { folder, port: free_port() };
        let _ = type_in(project.path(), "django-admin startproject shop .");
        project.write("shop/urls.py", URLS);
        project.append("shop/settings.py", "\nALLOWED_HOSTS = [\"*\"]\n");
        let _ = type_in(project.path(), "python3 manage.py migrate");
        project.write("people.py", PEOPLE);
        let _ = type_in(project.path(), "python3 manage.py shell < people.py");
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("our folder takes a file");
    }

    fn append(&self, name: &str, text: &str) {
        let there = fs::read_to_string(self.path().join(name)).expect("it is there");
        self.write(name, &(there + text));
    }

    fn serve(&self, settings: &[(&str, &str)]) -> ServerProcess {
        let serve = format!("python3 manage.py runserver --noreload 127.0.0.1:{}", self.port);
        start(self.path(), &serve, settings, self.port)
    }

    /// Types what the guide says; `nightlatch` is that of a server.
    fn follow(&self, commands: &str, server: &NightlatchServer) -> String {
        let mut told = String::new();
        for line in commands.lines() {
            told += &match line.strip_prefix("nightlatch ") {
                Some(words) => {
                    let words = words.replace("users.json", &self.file("users.json"));
                    server.command(&words.split(' ').collect::<Vec<_>>())
                }
                None => type_in(self.path(), line),
            };
        }
        told
    }

    fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// How many users it has.
    fn users(&self) -> String {
        self.write(
            "count.py",
            "from django.contrib.auth.models import User as U\nprint(U.objects.count())\n",
        );
        type_in(self.path(), "python3 manage.py shell < count.py").trim().to_owned()
    }

    /// Somebody who comes past the proxy, as before there was one.
    fn browser(&self) -> Client {
        Client::new(([127, 0, 0, 1], self.port).into())
    }

    async fn log_in(&self, name: &str, password: &str) -> Option<Client> {
        let mut browser = self.browser();
        let body = json!({ "username": name, "password": password });
        (browser.post_json("/login/", &body).await.status == 200).then_some(browser)
    }
}

async fn home(visitor: &Curl) -> Answer {
    visitor.visit(&format!("{APP}/")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_project_moves_behind_nightlatch_and_back() {
    let guide = Guide::read("docs/from-django.md");
    let (commands, files) = (guide.blocks("sh"), guide.blocks("python"));
    let project = Project::make();

    // As it was.
    let before = project.serve(&[]);
    let mut old = project.log_in("alice", PASSWORD).await.expect("her password");
    assert_eq!(old.get("/").await.text(), "2 alice [staff]");

    // 1 and 2.
    let server = as_in_the_guide().ready().await;
    let gateway = Gateway::launch(Kind::Nginx, server.address().port(), project.port);
    for _ in 0..2 {
        let _ = project.follow(&commands[0], &server);
    }
    assert!(!project.path().join("users.json").exists());
    let tried =
        with(&commands[1], &[("http://127.0.0.1:8080", &server.origin()), ("PASSWORD", PASSWORD)]);
    let told = type_in(project.path(), &tried.replace("curl", "curl --silent"));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["user"]["username"], "alice", "{told}");

    // 3: nothing has changed by it.
    project.write("shop/nightlatch.py", &files[0]);
    project.append("shop/settings.py", &files[1]);
    drop(before);
    let unchanged = project.serve(&[]);
    old.hang_up();
    assert_eq!(old.get("/").await.text(), "2 alice [staff]");
    assert!(project.log_in("bob", BOBS_PASSWORD).await.is_some());

    // 4.
    drop(unchanged);
    let switched = project.serve(&[("LOGIN_BY", "nightlatch")]);
    nobody_passes_without_a_session(&gateway, old.cookie("sessionid").expect("she has one")).await;
    people_have_the_rows_that_they_had(&project, &server, &gateway).await;
    let _ = server.command(&["user", "disable", "bob"]);

    // And back.
    let there: Value = serde_json::from_str(&project.follow(&commands[2], &server)).expect("JSON");
    let disabled = there["users"].as_array().expect("a list").iter();
    let disabled = disabled.filter(|user| user["enabled"] == false);
    let disabled: Vec<_> = disabled.map(|user| user["username"].as_str().expect("text")).collect();
    assert_eq!(disabled, ["bob", "carol"]);
    drop(switched);
    let _back = project.serve(&[]);
    old.hang_up();
    assert_eq!(old.get("/").await.text(), "2 alice [staff]", "her session of before the switch");
    let mut again = project.log_in("alice", PASSWORD).await.expect("her password");
    assert_eq!(again.get("/").await.text(), "2 alice [staff]");
    assert!(project.log_in("dora", "violet-anchor-parade-50").await.is_none(), "as the guide says");
    let mut spoofed = project.browser();
    let answer = spoofed.request(Method::GET, "/").header("remote-user", "alice").send().await;
    assert_ne!(answer.status, 200, "the header says nothing any more");
}

/// Neither with a session of Django's nor by saying a name.
async fn nobody_passes_without_a_session(gateway: &Gateway, django_session: &str) {
    let stranger = gateway.visitor();
    let session = format!("Cookie: sessionid={django_session}");
    for arguments in [&["--header", &*session][..], &["--header", "Remote-User: alice"]] {
        let answer = stranger.send(&format!("{APP}/"), arguments).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    assert_eq!(home(&stranger).await.status, 302);
}

async fn people_have_the_rows_that_they_had(
    project: &Project,
    server: &NightlatchServer,
    gateway: &Gateway,
) {
    let (alice, bob) = (gateway.visitor(), gateway.visitor());
    log_in(&alice, "alice", PASSWORD).await;
    log_in(&bob, "bob", BOBS_PASSWORD).await;
    for _ in 0..2 {
        assert_eq!(home(&alice).await.text(), "2 alice [staff]", "the row that she had");
    }
    assert_eq!(home(&bob).await.text(), "3 bob []");
    assert_eq!(project.users(), "3", "nobody is there twice");
    // Somebody who is new.
    let added = server.command_given(&["user", "add", "dora"], "violet-anchor-parade-50\n");
    assert!(added.status.success(), "{added:?}");
    let dora = gateway.visitor();
    log_in(&dora, "dora", "violet-anchor-parade-50").await;
    assert_eq!(home(&dora).await.text(), "5 dora []");
}
