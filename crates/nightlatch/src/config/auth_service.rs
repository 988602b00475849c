//! The service that logins are delegated to, if they are.
//!
//! Whoever set its URL means to delegate. So a URL that makes no sense does not switch delegation off,
//! which would tell everybody that their password is wrong: such logins are told that we cannot know.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightlatch_core::Secret;

use super::WebOrigin;
use super::reader::Reader;
use super::setting::Form;
use super::value::{self, Wrong};

/// How logins are delegated.
#[derive(Clone, Debug)]
pub struct AuthServiceConfig {
    /// Where it is; `None`: what was said of that makes no sense.
    pub origin: Option<WebOrigin>,
    /// Where it takes logins: the path of its URL and the login path.
    pub login_path: String,
    /// The member that it reads the name from.
    pub username_field: String,
    /// The members that it may answer the user's id in, the first that is there.
    pub subject_fields: Vec<String>,
    /// Who we are to it; `None`: not said.
    pub credentials: Option<ServiceCredentials>,
    /// Whose certificates are believed; `None`: those that the machine believes.
    pub ca_file: Option<PathBuf>,
    /// For name, connection and handshake.
    pub connect_timeout: Duration,
    /// From the request to the end of the answer.
    pub read_timeout: Duration,
    /// For all attempts of one login together.
    pub deadline: Duration,
    /// How often it is asked at most for one login.
    pub max_attempts: u32,
    /// Where it is asked about people who are logged in: the path of its URL, and [`SUBJECT`] for its id
    /// of them.
    pub user_path: String,
    /// How often, if at all.
    pub revalidate: Option<Duration>,
}

/// Stands for the id of a user in a path.
pub const SUBJECT: &str = "{subject}";

/// Who we are to the service.
#[derive(Clone, Debug)]
pub struct ServiceCredentials {
    /// `X-Service-ID`
    pub id: String,
    /// `X-Service-Secret`
    pub secret: Secret<String>,
}

const URL: &str = "AUTH_SERVICE_URL";
const ENABLED: &str = "AUTH_SERVICE_ENABLED";
const ID: &str = "SERVICE_ID";
const SECRET: &str = "SERVICE_SECRET";
const CA_FILE: &str = "AUTH_SERVICE_CA_FILE";
const URL_EXAMPLE: &str = "https://auth.example.com";

impl AuthServiceConfig {
    /// `None`: people log in by passwords of ours.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let target = reader.optional(URL, |text, _| Target::parse(text));
        let enabled = reader.optional(ENABLED, value::switch);
        let credentials = ServiceCredentials::read(reader);
        let ca_file = reader.optional(CA_FILE, |text, _| Ok(PathBuf::from(text)));
        let login_path = reader.required("AUTH_SERVICE_LOGIN_PATH", path);
        let username_field = reader.required("AUTH_SERVICE_FIELD_USERNAME", member);
        let subject_fields = reader.required("AUTH_SERVICE_FIELD_SUBJECT", members);
        let [connect_timeout, read_timeout, deadline] =
            ["AUTH_SERVICE_CONNECT_TIMEOUT", "AUTH_SERVICE_READ_TIMEOUT", "AUTH_SERVICE_DEADLINE"]
                .map(|name| reader.required(name, some_seconds));
        let max_attempts = reader.required("AUTH_SERVICE_MAX_ATTEMPTS", attempts);
        let user_path = reader.required("AUTH_SERVICE_USER_PATH", path_of_user);
        let revalidate = reader.required("AUTH_SERVICE_REVALIDATE", seconds_or_off);
        if !enabled.unwrap_or_else(|| reader.is_set(URL)) {
            let is_meant = enabled.is_none() && (reader.is_set(ID) || reader.is_set(SECRET));
            if is_meant {
                let why =
                    "is not set though SERVICE_ID or SERVICE_SECRET is: logins are not delegated";
                reader.remark(URL, Wrong::new(why).better(URL_EXAMPLE));
            }
            return None;
        }
        match &target {
            Some(target) => target.remark(reader),
            None if !reader.is_set(URL) => {
                let why =
                    "is on without AUTH_SERVICE_URL: nobody without a password here can log in";
                reader.remark(ENABLED, Wrong::new(why).better("off"));
            }
            // Not left out: whoever set it means to delegate.
            None => reader.amend(URL, "makes no sense; delegated logins answer 503".to_owned()),
        }
        for (name, is_set) in [(ID, credentials.0.is_some()), (SECRET, credentials.1.is_some())] {
            if !is_set {
                let why = "is not set: delegated logins answer 502 upstream_service_credentials";
                let better =
                    if name == ID { "nightlatch" } else { "<the one that the auth service has>" };
                reader.remark(name, Wrong::new(why).better(better));
            }
        }
        if let Some(file) = ca_file.as_deref().filter(|file| !Path::new(file).is_file()) {
            let why = format!("names the file {}, which is not there", file.display());
            reader.remark(CA_FILE, Wrong::new(why).better("/path/to/ca.pem"));
        }
        let base = target.as_ref().map_or("", |target| target.base.as_str());
        let [login_path, user_path] = [login_path, user_path].map(|path| format!("{base}{path}"));
        Some(Self {
            origin: target.map(|target| target.origin),
            login_path,
            username_field,
            subject_fields,
            credentials: credentials.both(),
            ca_file,
            connect_timeout,
            read_timeout,
            deadline,
            max_attempts,
            user_path,
            revalidate,
        })
    }
}

/// Where the service is.
#[derive(Clone)]
struct Target {
    origin: WebOrigin,
    /// A path in front of all paths; without the slash at its end.
    base: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |why: &str| {
            let why = format!("is no URL of a service: {why}; delegated logins answer 503");
            Wrong::new(why).better(URL_EXAMPLE)
        };
        let (origin, rest) = WebOrigin::split(text).map_err(|error| wrong(&error.to_string()))?;
        if rest.contains(['?', '#']) {
            return Err(wrong("it holds a query or a fragment"));
        }
        let base = rest.trim_end_matches('/').to_owned();
        if !is_path(&base) {
            return Err(wrong("its path holds what must be percent-encoded"));
        }
        Ok(Self { origin, base })
    }

    fn remark(&self, reader: &mut Reader) {
        reader.amend(URL, format!("{}{}", self.origin, self.base));
        let is_plain = !self.origin.is_https() && !self.origin.is_of_this_machine();
        if is_plain && reader.environment().is_production() {
            let why = "sends passwords and SERVICE_SECRET in plain text";
            let better = format!("https://{}{}", self.origin.host(), self.base);
            reader.remark(URL, Wrong::new(why).better(better));
        }
    }
}

struct MaybeCredentials(Option<String>, Option<Secret<String>>);

impl ServiceCredentials {
    fn read(reader: &mut Reader) -> MaybeCredentials {
        let id = reader.optional(ID, |text, _| header(text).map(str::to_owned));
        let secret = reader
            .optional(SECRET, |text, _| header(text).map(|text| Secret::new(text.to_owned())));
        MaybeCredentials(id, secret)
    }
}

impl MaybeCredentials {
    fn both(self) -> Option<ServiceCredentials> {
        Some(ServiceCredentials { id: self.0?, secret: self.1? })
    }
}

/// What can stand in a header.
fn header(text: &str) -> Result<&str, Wrong> {
    const BYTES_MAX: usize = 1024;
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if text.len() <= BYTES_MAX && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(Wrong::new("holds others than printable ASCII characters, or too many"))
}

fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c))
}

fn path(text: &str, _: Form) -> Result<String, Wrong> {
    let better = format!("/{}", text.trim_start_matches('/'));
    if !is_path(text) {
        return Err(Wrong::new("is no path of a URL").better("/auth/login"));
    }
    if !text.starts_with('/') {
        return Err(Wrong::new("does not begin with a slash").better(better));
    }
    Ok(text.to_owned())
}

fn path_of_user(text: &str, form: Form) -> Result<String, Wrong> {
    let better = |wrong: Wrong| wrong.better("/users/{subject}");
    if text.matches(SUBJECT).count() != 1 {
        return Err(better(Wrong::new("does not hold {subject} once, in place of the user's id")));
    }
    path(&text.replace(SUBJECT, "0"), form).map_err(better)?;
    Ok(text.to_owned())
}

fn seconds_or_off(text: &str, form: Form) -> Result<Option<Duration>, Wrong> {
    match value::switch(text, form) {
        Ok(false) => Ok(None),
        _ => value::seconds(text, form).map(Some),
    }
}

fn member(text: &str, _: Form) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) && text != "password" {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("is no name of a member of JSON").better("username"))
}

fn members(list: &str, form: Form) -> Result<Vec<String>, Wrong> {
    let members: Result<Vec<_>, _> = value::items(list).map(|item| member(item, form)).collect();
    let better = |wrong: Wrong| wrong.better("user_id,id,sub");
    let members = members.map_err(better)?;
    if members.is_empty() {
        return Err(better(Wrong::new("names no member")));
    }
    Ok(members)
}

fn some_seconds(text: &str, form: Form) -> Result<Duration, Wrong> {
    let span = value::seconds(text, form)?;
    if span < Duration::from_millis(10) {
        return Err(Wrong::new("is less than 0.01 s").better("1"));
    }
    Ok(span)
}

fn attempts(text: &str, _: Form) -> Result<u32, Wrong> {
    match text.parse::<u32>() {
        Ok(attempts @ 1..=10) => Ok(attempts),
        Ok(0) => Err(Wrong::new("is less than 1").better("1")),
        Ok(_) => Err(Wrong::new("is more than 10").better("10")),
        Err(_) => Err(Wrong::new("is no whole number from 1 to 10").better("3")),
    }
}
