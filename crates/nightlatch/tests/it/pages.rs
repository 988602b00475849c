//! The whole journey in a real browser, with and without scripts.

use nightlatch_testkit::browser::{Browser, Scripts};
use nightlatch_testkit::wait::wait_until;

use crate::person::{LIMIT, PASSWORD, Person};
use crate::problem::assert_problem;
use crate::record::{Record, Stand};

const NEXT_PASSWORD: &str = "copper-lantern-meadow-58";

#[tokio::test]
async fn a_person_does_everything_in_a_browser() {
    Box::pin(journey(Scripts::On, Record::Sqlite)).await;
}

#[tokio::test]
async fn a_person_does_everything_in_a_browser_without_scripts() {
    Box::pin(journey(Scripts::Off, Record::Postgres)).await;
}

#[tokio::test]
async fn a_page_is_left_by_itself_when_its_session_is_ended_elsewhere() {
    let visit =
        Visit { stand: Record::Sqlite.serve().await, browser: Browser::launch(Scripts::On).await };
    let (browser, server) = (&visit.browser, &visit.stand.server);
    let mut elsewhere = Person::logged_in(server, "hypatia").await;
    visit.open("/auth/sessions").await;
    let logs_in = async || {
        browser.fill("username", "hypatia").await;
        browser.fill("password", PASSWORD).await;
        browser.press("main form", "Log in").await;
        assert_eq!(browser.path().await, "/auth/sessions");
    };
    logs_in().await;
    assert_eq!(elsewhere.revoke("/api/v1/sessions").await.status, 200);
    wait_until("the page is left", LIMIT, async || browser.path().await == "/auth/login").await;
    // And leads back.
    logs_in().await;
    visit.browser.close().await;
}

/// A person in front of a browser.
struct Visit {
    browser: Browser,
    stand: Stand,
}

async fn journey(scripts: Scripts, record: Record) {
    let visit = Visit { stand: record.serve().await, browser: Browser::launch(scripts).await };
    visit.has_scripts(scripts).await;
    visit.registers().await;
    visit.logs_in_and_stays().await;
    visit.logs_another_device_out().await;
    visit.changes_the_password().await;
    visit.logs_out_and_comes_back().await;
    visit.is_held_up_after_wrong_guesses().await;
    visit.browser.close().await;
}

#[track_caller]
fn assert_shows(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{wanted:?} is not on the page:\n{text}");
}

impl Visit {
    async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.stand.server.origin())).await;
    }

    /// What the scripts add is there exactly when they run, so we know that we test both.
    async fn has_scripts(&self, scripts: Scripts) {
        self.open("/auth/login").await;
        assert_eq!(self.browser.has("button.reveal").await, scripts == Scripts::On);
    }

    async fn registers(&self) {
        let browser = &self.browser;
        self.open("/").await;
        assert_eq!(browser.path().await, "/auth/login");
        self.open("/auth/register").await;
        browser.fill("username", "Hypatia").await;
        browser.fill("email", "hypatia@example.org").await;
        browser.fill("password", "password").await;
        browser.press("main form", "Create account").await;
        assert_eq!(browser.path().await, "/auth/register");
        assert!(!browser.error_of("password").await.is_empty());
        browser.fill("username", "admin").await;
        browser.fill("password", PASSWORD).await;
        browser.press("main form", "Create account").await;
        assert_shows(&browser.error_of("username").await, "reserved");
        browser.fill("username", "Hypatia").await;
        browser.fill("password", PASSWORD).await;
        browser.press("main form", "Create account").await;
        assert_eq!(browser.path().await, "/auth/login");
        assert_shows(&browser.text().await, "Your account is ready");
    }

    async fn logs_in_and_stays(&self) {
        let browser = &self.browser;
        browser.fill("username", "hypatia@example.org").await;
        browser.fill("password", "not the password").await;
        browser.press("main form", "Log in").await;
        assert_eq!(browser.path().await, "/auth/login");
        assert_shows(&browser.text().await, "The name or the password is wrong.");
        let typed = browser.find("input[name='username']").await;
        let typed = typed.prop("value").await.expect("an input has a value");
        assert_eq!(typed.as_deref(), Some("hypatia@example.org"), "what was typed is still there");
        let password = browser.find("input[name='password']").await;
        let password = password.prop("value").await.expect("an input has a value");
        assert_eq!(password.as_deref(), Some(""), "but the password is not");

        browser.fill("password", PASSWORD).await;
        browser.tick("remember").await;
        browser.press("main form", "Log in").await;
        assert_eq!(browser.path().await, "/auth/profile");
        assert_shows(&browser.text().await, "You are logged in.");
        for _ in 0..2 {
            browser.reload().await;
            assert_eq!(browser.path().await, "/auth/profile");
            let text = browser.text().await;
            assert_shows(&text, "Hypatia");
            assert_shows(&text, "hypatia@example.org");
            assert!(!text.contains("You are logged in."), "the message is shown once");
        }
        self.open("/auth/login").await;
        assert_eq!(browser.path().await, "/auth/profile", "there is no need to log in twice");
    }

    async fn logs_another_device_out(&self) {
        let browser = &self.browser;
        let server = &self.stand.server;
        let mut phone = Person::new(server, "hypatia");
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        phone.client = server.client().with_header("user-agent", firefox);
        phone.log_in().await;

        self.open("/auth/sessions").await;
        let text = browser.text().await;
        assert_shows(&text, "Firefox on Linux");
        assert_shows(&text, "Chrom");
        assert_shows(&text, "This device");
        browser.press("main li:not(.current)", "Log out").await;
        assert_eq!(browser.path().await, "/auth/sessions");
        let text = browser.text().await;
        assert_shows(&text, "That device is logged out.");
        assert!(!text.contains("Firefox on Linux"), "{text}");
        assert_problem(&phone.session().await, 401, "no_session");
    }

    async fn changes_the_password(&self) {
        let browser = &self.browser;
        let mut phone = Person::new(&self.stand.server, "hypatia");
        phone.log_in().await;
        self.open("/auth/profile").await;
        browser.fill("current_password", "not the password").await;
        browser.fill("new_password", NEXT_PASSWORD).await;
        browser.press("main form", "Change password").await;
        assert_shows(&browser.error_of("current_password").await, "wrong");
        browser.fill("current_password", PASSWORD).await;
        browser.fill("new_password", NEXT_PASSWORD).await;
        browser.press("main form", "Change password").await;
        assert_eq!(browser.path().await, "/auth/profile");
        assert_shows(&browser.text().await, "Your password is changed");
        assert_problem(&phone.session().await, 401, "no_session");
        browser.reload().await;
        assert_eq!(browser.path().await, "/auth/profile", "this browser is still logged in");
    }

    async fn logs_out_and_comes_back(&self) {
        let browser = &self.browser;
        browser.press("header", "Log out").await;
        assert_eq!(browser.path().await, "/auth/login");
        assert_shows(&browser.text().await, "You are logged out.");
        self.open("/auth/sessions").await;
        assert_eq!(browser.path().await, "/auth/login", "nothing is shown without a session");
        browser.fill("username", "hypatia").await;
        browser.fill("password", NEXT_PASSWORD).await;
        browser.press("main form", "Log in").await;
        assert_eq!(browser.path().await, "/auth/sessions", "back to where they wanted to go");
        browser.press("header", "Log out").await;
    }

    async fn is_held_up_after_wrong_guesses(&self) {
        let browser = &self.browser;
        browser.driver().delete_all_cookies().await.expect("cookies can be deleted");
        self.open("/auth/login").await;
        for _ in 0..6 {
            browser.fill("username", "somebody").await;
            browser.fill("password", "a guess").await;
            browser.press("main form", "Log in").await;
        }
        assert_eq!(browser.path().await, "/auth/login");
        let text = browser.text().await;
        assert_shows(&text, "Please wait a little");
        assert_shows(&text, "Try again in");
    }
}
