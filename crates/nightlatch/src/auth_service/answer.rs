//! What the auth service answers, read strictly: half an answer, or one about somebody else, lets nobody
//! in.
//!
//! Services differ in where they put the user: in `user`, in `data`, in the claims of a token, or at the
//! top. Each is looked for in that order. The token's signature is not verified: it comes from the
//! service itself, over the connection that the password went over (`OpenID` Connect Core 1.0, 3.1.3.7,
//! 6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName};
use nightlatch_core::{
    DisplayName, Email, FailureClass, Groups, LoginName, Person, Standing, Subject, Username,
    Vouched,
};
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::config::AuthServiceConfig;
use crate::outbound::RawAnswer;

/// What services call the name of a user.
const NAMES: [&str; 3] = ["username", "login", "preferred_username"];

/// Where tokens stand.
const TOKENS: [&str; 4] = ["id_token", "access_token", "access", "token"];

/// What an answer says to whoever has logged in as `asked`.
pub(super) fn read(
    raw: &RawAnswer,
    config: &AuthServiceConfig,
    asked: &str,
) -> Result<Vouched, Failure> {
    match raw.status.as_u16() {
        200..=299 => {
            let told = Told::read(raw, config)?;
            let Some(person) = told.person else { return Ok(Vouched::Refused) };
            if is_another(&told.user, asked)? {
                Err(of_another())
            } else {
                Ok(Vouched::For(person))
            }
        }
        401 => read_refusal(raw),
        _ => Err(failure(raw, &config.login_path)),
    }
}

/// What an answer says to whoever has asked about `subject`.
pub(super) fn read_standing(
    raw: &RawAnswer,
    config: &AuthServiceConfig,
    subject: &Subject,
) -> Result<Standing, Failure> {
    match raw.status.as_u16() {
        200..=299 => {
            let told = Told::read(raw, config)?;
            if told.subject != *subject {
                return Err(of_another());
            }
            if told.is_disputed {
                return Err(Failure::nonsense(
                    "its answer says that the user is enabled and is not",
                ));
            }
            Ok(told.person.map_or(Standing::Ended, Standing::Good))
        }
        // A bare one may as well be of a wrong path, and would log everybody out.
        404 | 410 if says(raw, |code| code == "user_not_found") => Ok(Standing::Ended),
        401 => Err(Failure::service_credentials(FailureClass::AuthFailed, 401)),
        _ => Err(failure(raw, &config.user_path)),
    }
}

fn of_another() -> Failure {
    Failure::nonsense("its answer is about another user than was asked for")
}

fn failure(raw: &RawAnswer, path: &str) -> Failure {
    let status = raw.status.as_u16();
    match status {
        403 => Failure::service_credentials(FailureClass::Forbidden, status),
        404 | 405 => Failure::endpoint_missing(status, path),
        408 | 429 => Failure::throttled(status, raw.retry_after()),
        503 => Failure::unavailable(raw.retry_after()),
        500..=599 => Failure::error(status),
        300..=399 => Failure::odd(format!("it redirects, which is not followed: {status}")),
        _ => Failure::nonsense(format!("it answers {status}")),
    }
}

/// Whether an answer in JSON has a code that is such a one.
fn says(raw: &RawAnswer, is_so: impl Fn(&str) -> bool) -> bool {
    let body: Option<Map<String, Value>> = serde_json::from_slice(&raw.body).ok();
    let code = |name: &&str| body.as_ref().and_then(|body| body.get(*name)).and_then(Value::as_str);
    ["code", "error"].iter().filter_map(code).any(|code| is_so(&code.to_ascii_lowercase()))
}

/// What an answer to the prober's question says of the service; `None`: nothing about logins.
pub(super) fn read_look(raw: &RawAnswer) -> Option<Failure> {
    let status = raw.status.as_u16();
    match status {
        502 | 504 => Some(Failure::error(status)),
        503 => Some(Failure::unavailable(None)),
        _ => None,
    }
}

/// 401: of the user, unless it says that it is about us, or is a page of somebody in between.
fn read_refusal(raw: &RawAnswer) -> Result<Vouched, Failure> {
    let is_ours = |code: &str| code.starts_with("service_") || code.starts_with("invalid_service");
    let challenges = raw.headers.get_all(WWW_AUTHENTICATE).iter();
    let mut schemes = challenges.filter_map(|value| value.to_str().ok()?.split([' ', ',']).next());
    if schemes.any(|scheme| scheme.eq_ignore_ascii_case("service")) || says(raw, is_ours) {
        return Err(Failure::service_credentials(FailureClass::AuthFailed, 401));
    }
    if raw.body.is_empty() || is_json(&raw.headers) {
        return Ok(Vouched::Refused);
    }
    Err(Failure::odd("it answers 401 with something else than JSON, as gateways in between do"))
}

/// What an answer says of a user.
struct Told {
    user: Map<String, Value>,
    subject: Subject,
    /// `None`: one who may not log in.
    person: Option<Person>,
    /// One part of the answer says that they may, another that they may not.
    is_disputed: bool,
}

impl Told {
    fn read(raw: &RawAnswer, config: &AuthServiceConfig) -> Result<Self, Failure> {
        if !is_json(&raw.headers) {
            return Err(Failure::odd("its answer is not of the type application/json"));
        }
        let encoding = text(&raw.headers, &CONTENT_ENCODING).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(Failure::odd("its answer is compressed, which was not asked for"));
        }
        let top: Map<String, Value> = serde_json::from_slice(&raw.body)
            .map_err(|_| Failure::nonsense("its answer is no JSON object"))?;
        let objects = Objects::of(top);
        let id = user_id(&objects, config)?;
        let subject =
            Subject::try_new(&id).map_err(|error| Failure::nonsense(error.to_string()))?;
        let said = |wanted| objects.all().any(|it| is_enabled(it).ok().flatten() == Some(wanted));
        let is_disputed = said(true) && said(false);
        // What stands nearer to the user goes before what stands further off.
        let user = objects.into_user();
        let is_off = is_enabled(&user)? == Some(false);
        let person = if is_off { None } else { Some(person(subject.clone(), &user)?) };
        Ok(Self { user, subject, person, is_disputed })
    }
}

/// Where the user may stand.
struct Objects {
    /// Those that are nothing but a user, the nearest first.
    holders: Vec<Map<String, Value>>,
    claims: Vec<Map<String, Value>>,
    top: Map<String, Value>,
}

impl Objects {
    fn of(top: Map<String, Value>) -> Self {
        let inner = |of: &Map<String, Value>, name| of.get(name)?.as_object().cloned();
        let (user, data) = (inner(&top, "user"), inner(&top, "data"));
        let data_user = data.as_ref().and_then(|data| inner(data, "user"));
        let claims = data.iter().chain([&top]).flat_map(claims_in).collect();
        // `data` may hold the user or be it.
        let data = data.filter(|_| data_user.is_none());
        let holders = [user, data_user, data].into_iter().flatten().collect();
        Self { holders, claims, top }
    }

    fn all(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.holders.iter().chain(&self.claims).chain([&self.top])
    }

    /// All that is said; what stands nearer to the user goes before what stands further off.
    fn into_user(self) -> Map<String, Value> {
        let Self { holders, claims, top } = self;
        let all = holders.into_iter().chain(claims).chain([top]);
        all.collect::<Vec<_>>().into_iter().rev().flatten().collect()
    }
}

/// The user's id. Where there is a user it is that user's: an id from further out may be of the answer,
/// the tenant or the client, and would make one person of all.
fn user_id(objects: &Objects, config: &AuthServiceConfig) -> Result<String, Failure> {
    let of = |object| id(object, &config.subject_fields);
    let names_a_user = |object: &&Map<String, Value>| {
        NAMES.iter().chain([&"email"]).any(|name| object.contains_key(*name))
    };
    let missing = || {
        let names = config.subject_fields.join(", ");
        Failure::nonsense(format!("its answer holds none of {names}"))
    };
    if let Some(found) = objects.holders.iter().find_map(of) {
        return found;
    }
    if objects.holders.iter().any(|holder| names_a_user(&holder)) {
        return Err(missing());
    }
    let further = objects.claims.iter().chain([&objects.top]);
    further.into_iter().find_map(of).ok_or_else(missing)?
}

fn claims_in(object: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let tokens = TOKENS.iter().filter_map(|name| object.get(*name)?.as_str());
    tokens.filter_map(claims).collect()
}

/// What a token says, if it is a JWT.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok().filter(|_| parts.next().is_none())
}

/// The id in the first of these members that is there; an error if it can be none.
fn id(object: &Map<String, Value>, names: &[String]) -> Option<Result<String, Failure>> {
    let value = names.iter().find_map(|name| object.get(name).filter(|value| !value.is_null()))?;
    Some(match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        _ => Err(Failure::nonsense("the user's id is neither a text nor a whole number")),
    })
}

fn person(subject: Subject, object: &Map<String, Value>) -> Result<Person, Failure> {
    let bad = |error: String| Failure::nonsense(error);
    let username = member(object, &NAMES)?;
    let email = member(object, &["email"])?;
    let name = member(object, &["name", "display_name", "full_name"])?;
    Ok(Person {
        subject,
        // One that cannot be a name of ours, such as an e-mail address, is none.
        username: username.and_then(|text| Username::try_existing(text).ok()),
        email: email.and_then(|text| Email::try_new(text).ok()),
        email_verified: switch(object, "email_verified")?,
        name: name.map(DisplayName::try_new).transpose().map_err(|error| bad(error.to_string()))?,
        groups: groups(object)?,
    })
}

/// The first text of these members.
fn member<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Result<Option<&'a str>, Failure> {
    for name in names {
        match object.get(*name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) => return Ok(Some(text)),
            Some(_) => return Err(Failure::nonsense(format!("the member {name} is no text"))),
        }
    }
    Ok(None)
}

fn switch(object: &Map<String, Value>, name: &str) -> Result<Option<bool>, Failure> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(is_so)) => Ok(Some(*is_so)),
        Some(_) => Err(Failure::nonsense(format!("the member {name} is neither true nor false"))),
    }
}

/// Whether the service says that this user may log in, or that they may not.
fn is_enabled(object: &Map<String, Value>) -> Result<Option<bool>, Failure> {
    let mut said = None;
    for (name, on) in
        [("enabled", true), ("active", true), ("is_active", true), ("disabled", false)]
    {
        match switch(object, name)? {
            Some(value) if value == on => said = Some(true),
            Some(_) => return Ok(Some(false)),
            None => {}
        }
    }
    Ok(said)
}

fn groups(object: &Map<String, Value>) -> Result<Option<Groups>, Failure> {
    let list = ["groups", "roles"].iter().find_map(|name| object.get(*name));
    let names = match list {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(names)) => names.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(_) => None,
    };
    let names = names.ok_or_else(|| Failure::nonsense("its groups are no list of texts"))?;
    Groups::try_new(names).map(Some).map_err(|error| Failure::nonsense(error.to_string()))
}

/// Whether an answer names a user, and not the one who was asked for.
fn is_another(object: &Map<String, Value>, asked: &str) -> Result<bool, Failure> {
    let asked = LoginName::fold(asked);
    let mut names = Vec::new();
    for name in NAMES.iter().chain([&"email"]) {
        names.extend(member(object, &[*name])?.map(LoginName::fold));
    }
    // A name says nothing against an e-mail address.
    let is_email = |name: &LoginName| matches!(name, LoginName::Email(_));
    names.retain(|name| is_email(name) == is_email(&asked));
    Ok(!names.is_empty() && !names.contains(&asked))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json") || media.ends_with("+json")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
