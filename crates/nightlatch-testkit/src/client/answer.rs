//! An answer: status, headers, body, cookies.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::SET_COOKIE;
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A cookie that an answer sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its attributes as they stand there, sorted.
    pub attributes: Vec<String>,
}

impl Answer {
    pub(super) fn new(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The only value of a header, or `None`; panics when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there twice: {:?}", self.headers);
        Some(value.to_str().expect("our headers are ASCII"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("our bodies are UTF-8")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{} {error}: {:?}", self.status, self.body))
    }

    /// The member `code` of a problem's body; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.and_then(|body| Some(body.get("code")?.as_str()?.to_owned())).unwrap_or_default()
    }

    /// The cookies that it sets.
    #[must_use]
    pub fn cookies(&self) -> Vec<SetCookie> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines.map(|line| SetCookie::parse(line.to_str().expect("our cookies are ASCII"))).collect()
    }

    /// The cookie of that name that it sets; panics when there are several.
    #[must_use]
    pub fn set_cookie(&self, name: &str) -> Option<SetCookie> {
        let mut cookies: Vec<SetCookie> =
            self.cookies().into_iter().filter(|cookie| cookie.name == name).collect();
        assert!(cookies.len() <= 1, "{name} is set twice: {cookies:?}");
        cookies.pop()
    }
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split("; ");
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').expect("a cookie has a name and a value");
        let mut attributes: Vec<String> = parts.map(str::to_owned).collect();
        attributes.sort_unstable();
        Self { name: name.to_owned(), value: value.to_owned(), attributes }
    }

    /// Whether it takes the cookie away.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute == "Max-Age=0")
    }
}
