//! What every page shows, as plain values that the templates are checked against when compiled.
//!
//! Nothing here asks anything: handlers fill these in, [`html`] writes them out. Everything that
//! people typed is escaped by the template engine and set apart by `<bdi>` or `dir="auto"`, so that
//! neither markup nor writing direction leaks into the page around it.

use askama::Template;

use super::asset;
use super::flash::Flash;
use super::form::Form;
use super::moment::Moment;

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
    /// The operators' page, which has a navigation of its own.
    Operators,
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
    pub(crate) const fn asset_version(&self) -> u32 {
        asset::VERSION
    }
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
    pub(crate) request_id: String,
}

/// A link that keeps where the person wanted to go.
pub(crate) fn href(path: &str, next: Option<&str>) -> String {
    let Some(next) = next else { return path.to_owned() };
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    format!("{path}?next={}", next.bytes().map(encode).collect::<String>())
}

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod tests;
