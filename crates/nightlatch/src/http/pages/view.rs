//! What every page shows, as plain values that the templates are checked against when compiled.
//!
//! Nothing here asks anything: handlers fill these in, [`html`] writes them out. Everything that
//! people typed is escaped by the template engine and set apart by `<bdi>` or `dir="auto"`, so that
//! neither markup nor writing direction leaks into the page around it.

use std::time::Duration;

use askama::Template;
use nightlatch_core::Timestamp;
use time::OffsetDateTime;

use super::flash::Flash;
use super::form::Form;

/// Writes a page out.
pub(crate) fn html(view: &impl Template) -> String {
    let page = view.render().expect("views hold plain text, whose formatting cannot fail");
    // HTML has no way to write control characters: parsers drop some and refuse others.
    page.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// What stands around every page.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// What the page before has done.
    pub(crate) flash: Option<Flash>,
    /// Who is logged in, if anybody.
    pub(crate) account: Option<Account>,
}

/// The navigation of somebody who is logged in.
#[derive(Debug)]
pub(crate) struct Account {
    /// For the log-out button.
    pub(crate) csrf_token: String,
    /// Where in the navigation this page is.
    pub(crate) section: Section,
}

/// A place in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The profile.
    Profile,
    /// The device list.
    Devices,
}

impl Section {
    const fn is_profile(self) -> bool {
        matches!(self, Self::Profile)
    }

    const fn is_devices(self) -> bool {
        matches!(self, Self::Devices)
    }
}

impl Frame {
    /// Changes with the files, so that browsers may keep them for good.
    #[expect(clippy::unused_self, reason = "templates reach functions through their values")]
    const fn asset_version(&self) -> u32 {
        ASSET_VERSION
    }
}

const ASSET_VERSION: u32 = checksum(STYLE, checksum(FORM_SCRIPT, 0));

/// `/static/style.css`
pub(crate) const STYLE: &[u8] = include_bytes!("../../../static/style.css");
/// `/static/form.js`
pub(crate) const FORM_SCRIPT: &[u8] = include_bytes!("../../../static/form.js");
/// `/static/mark.svg`
pub(crate) const MARK: &[u8] = include_bytes!("../../../static/mark.svg");

/// FNV-1a: tells two releases apart, nothing else rests on it.
const fn checksum(bytes: &[u8], seed: u32) -> u32 {
    let mut sum = seed ^ 0x811c_9dc5;
    let mut at = 0;
    while at < bytes.len() {
        sum = (sum ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    sum
}

/// `/auth/login`
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginView {
    pub(crate) frame: Frame,
    pub(crate) form: Form,
    /// Whether the box was ticked.
    pub(crate) remember: bool,
    /// Whether to offer an account.
    pub(crate) registration_open: bool,
}

impl LoginView {
    fn register_href(&self) -> String {
        href("/auth/register", self.form.next.as_deref())
    }
}

/// `/auth/register`
#[derive(Template)]
#[template(path = "register.html")]
pub(crate) struct RegisterView {
    pub(crate) frame: Frame,
    pub(crate) form: Form,
}

impl RegisterView {
    fn login_href(&self) -> String {
        href("/auth/login", self.form.next.as_deref())
    }
}

/// `/auth/profile`
#[derive(Template)]
#[template(path = "profile.html")]
pub(crate) struct ProfileView {
    pub(crate) frame: Frame,
    pub(crate) user: UserView,
    /// When this login ends at the latest.
    pub(crate) expires: Moment,
    /// When it ends if it is not used.
    pub(crate) idle_expires: Option<Moment>,
    /// The password change.
    pub(crate) form: Form,
}

/// A user, for their own eyes.
pub(crate) struct UserView {
    pub(crate) username: String,
    /// May be empty.
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) created: Moment,
}

impl UserView {
    fn shown_name(&self) -> &str {
        if self.name.is_empty() { &self.username } else { &self.name }
    }
}

/// `/auth/sessions`
#[derive(Template)]
#[template(path = "sessions.html")]
pub(crate) struct SessionsView {
    pub(crate) frame: Frame,
    pub(crate) csrf_token: String,
    /// Those that are shown.
    pub(crate) devices: Vec<DeviceView>,
    /// How many there are besides.
    pub(crate) hidden: usize,
}

impl SessionsView {
    /// How many devices are shown before the person asks for all: what keeps the page small.
    pub(crate) const SHORT_LIST: usize = 12;

    /// This device first, then the others as they come; the short list unless `all` is asked for.
    pub(crate) fn new(
        frame: Frame,
        csrf_token: String,
        mut devices: Vec<DeviceView>,
        shown_max: usize,
    ) -> Self {
        devices.sort_by_key(|device| !device.current);
        let hidden = devices.len().saturating_sub(shown_max);
        devices.truncate(shown_max);
        Self { frame, csrf_token, devices, hidden }
    }

    fn has_others(&self) -> bool {
        self.hidden > 0 || self.devices.iter().any(|device| !device.current)
    }
}

/// A session in the device list.
pub(crate) struct DeviceView {
    pub(crate) id: String,
    /// In words.
    pub(crate) user_agent: String,
    pub(crate) address: String,
    pub(crate) created: Moment,
    pub(crate) last_seen: Moment,
    /// Whether the page was asked for by this very session.
    pub(crate) current: bool,
}

/// Any page that could not be shown.
#[derive(Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemView {
    pub(crate) frame: Frame,
    pub(crate) status: u16,
    pub(crate) title: String,
    /// What happened, and why.
    pub(crate) what: String,
    /// What to do.
    pub(crate) advice: String,
    /// When to try again, in words.
    pub(crate) wait: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// A time, for machines and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339.
    pub(crate) iso: String,
    /// "21 November 2026, 10:03 UTC"
    pub(crate) utc: String,
    /// "21 November 2026"
    pub(crate) day: String,
    /// "5 minutes ago", "in 3 days"
    pub(crate) relative: String,
}

impl Moment {
    /// `at` as it looks at `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        let seconds = at.as_micros().div_euclid(1_000_000);
        // Only years beyond 9999 have no calendar; no record holds one.
        let date =
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let day = format!("{} {} {}", date.day(), date.month(), date.year());
        let relative = if at > now { in_words(at.since(now)) } else { ago_in_words(now.since(at)) };
        let utc = format!("{day}, {:02}:{:02} UTC", date.hour(), date.minute());
        Self { iso: at.to_rfc3339(), utc, day, relative }
    }
}

/// A wait as people say it: "in 5 minutes". Rounded up, so that who waits as told has waited enough.
pub(crate) fn in_words(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0..=1 => "in a second".to_owned(),
        2..=90 => format!("in {seconds} seconds"),
        91..=5_400 => format!("in {} minutes", seconds.div_ceil(60)),
        5_401..=172_800 => format!("in {} hours", seconds.div_ceil(3_600)),
        _ => format!("in {} days", seconds.div_ceil(86_400)),
    }
}

fn ago_in_words(span: Duration) -> String {
    match span.as_secs() {
        0..=59 => "just now".to_owned(),
        60..=119 => "a minute ago".to_owned(),
        seconds @ 120..=5_399 => format!("{} minutes ago", seconds / 60),
        seconds @ 5_400..=172_799 => format!("{} hours ago", (seconds + 1_800) / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// A link that keeps where the person wanted to go.
fn href(path: &str, next: Option<&str>) -> String {
    let mut href = path.to_owned();
    let Some(next) = next else { return href };
    href.push_str("?next=");
    for byte in next.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            href.push(char::from(byte));
        } else {
            href.push_str(&format!("%{byte:02X}"));
        }
    }
    href
}

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod tests;
