//! A real Chromium, driven as a person drives it: by labels, names and what can be read.
//!
//! Whether cookies, forms and redirects work is decided by browsers, not by our reading of their
//! standards.

use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::process::ServerProcess;
use crate::wait::wait_until;

use std::process::Command;

/// How long Chromium and its driver may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long a page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// As browsers come.
    On,
    /// Switched off by the person.
    Off,
}

/// A Chromium of its own, without a history.
pub struct Browser {
    client: Client,
    driver: ServerProcess,
    /// Last: the browser has ended when its files go.
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    pub async fn launch(scripts: Scripts) -> Self {
        for program in ["chromium", "chromedriver"] {
            let installed = Command::new(program).arg("--version").output();
            assert!(
                installed.is_ok_and(|output| output.status.success()),
                "{program} is not installed: Debian packages `chromium chromium-driver`"
            );
        }
        let mut chromedriver = Command::new("setpriv");
        chromedriver.args(["--", "chromedriver", "--port=0"]);
        let driver = ServerProcess::spawn(chromedriver);
        let port = driver.wait_for_log(START_LIMIT, port_of_driver);
        let port = port.unwrap_or_else(|log| panic!("chromedriver does not start:\n{log}"));
        let profile = tempfile::Builder::new()
            .prefix("nightlatch-chromium-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities(&profile, scripts));
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await;
        let client = client.unwrap_or_else(|error| panic!("no browser: {error}\n{}", driver.log()));
        Self { client, driver, _profile: profile }
    }

    /// The driver's client, for what has no word here.
    #[must_use]
    pub fn driver(&self) -> &Client {
        &self.client
    }

    /// Types an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Reloads the page.
    pub async fn reload(&self) {
        self.client.refresh().await.expect("a page can be reloaded");
    }

    /// The path of the page, without query.
    pub async fn path(&self) -> String {
        self.client.current_url().await.expect("a page has an address").path().to_owned()
    }

    /// What can be read on the page.
    pub async fn text(&self) -> String {
        let main = self.find("body").await;
        main.text().await.expect("a page has text")
    }

    /// The element of a CSS selector; panics with the page when there is none.
    pub async fn find(&self, selector: &str) -> Element {
        match self.client.find(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(error) => panic!("{selector}: {error}\n{}", self.source().await),
        }
    }

    /// Whether there is an element of a CSS selector.
    pub async fn has(&self, selector: &str) -> bool {
        let found = self.client.find_all(Locator::Css(selector)).await;
        !found.expect("a selector").is_empty()
    }

    /// Types into the visible field of that name, in place of what is there.
    pub async fn fill(&self, name: &str, value: &str) {
        let field = self.find(&format!("input[name='{name}']:not([hidden])")).await;
        field.clear().await.expect("a field can be cleared");
        field.send_keys(value).await.expect("a field takes text");
    }

    /// Ticks a box by its label.
    pub async fn tick(&self, name: &str) {
        self.find(&format!("label[for='{name}']")).await.click().await.expect("a label");
    }

    /// Presses the button whose text begins with `label`, inside `scope`, and waits for the page
    /// that follows.
    pub async fn press(&self, scope: &str, label: &str) {
        let mut wanted = None;
        for button in self
            .client
            .find_all(Locator::Css(&format!("{scope} button")))
            .await
            .expect("a selector")
        {
            if button.text().await.is_ok_and(|text| text.starts_with(label)) {
                wanted = Some(button);
                break;
            }
        }
        let Some(button) = wanted else {
            panic!("no button {label:?} in {scope:?}:\n{}", self.source().await);
        };
        let page = self.find("html").await;
        button.click().await.expect("a button can be pressed");
        // The old page's root can no longer be asked once the next page has taken its place.
        wait_until("another page", PAGE_LIMIT, async || {
            page.tag_name().await.is_err() && self.client.find(Locator::Css("body")).await.is_ok()
        })
        .await;
    }

    /// What is told beside a field, where it is also announced to those who cannot see it.
    pub async fn error_of(&self, name: &str) -> String {
        let field = self.find(&format!("input[name='{name}'][aria-invalid='true']")).await;
        let ids = field.attr("aria-describedby").await.expect("an element has attributes");
        let id = ids.as_deref().and_then(|ids| ids.split(' ').next().map(str::to_owned));
        let id = id.unwrap_or_else(|| panic!("nothing describes {name}"));
        self.find(&format!("[id='{id}']")).await.text().await.expect("an element has text")
    }

    /// The page's source.
    pub async fn source(&self) -> String {
        self.client.source().await.unwrap_or_default()
    }

    /// Ends it.
    pub async fn close(self) {
        let client = self.client.clone();
        client.close().await.expect("a browser can be closed");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With the browser, which is the driver's child and would stay behind.
        self.driver.kill_9();
    }
}

/// The port in "`ChromeDriver` was started successfully on port 45123."
fn port_of_driver(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("started successfully on port ")?;
    rest.trim_end_matches('.').parse().ok()
}

fn capabilities(profile: &TempDir, scripts: Scripts) -> Map<String, Value> {
    let mut arguments: Vec<String> = [
        "--headless=new",
        // Tests run as root, which Chromium's sandbox refuses; it sees only our own pages.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-breakpad",
        "--disable-crash-reporter",
        "--window-size=1000,1400",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    let mut options = json!({ "args": arguments });
    if scripts == Scripts::Off {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    let mut capabilities = Map::new();
    capabilities.insert("goog:chromeOptions".to_owned(), options);
    capabilities
}
