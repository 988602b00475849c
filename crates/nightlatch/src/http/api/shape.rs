//! The shapes that several answers share.
//!
//! They borrow what they show and write ids and times from the stack: a session check is the most
//! frequent answer of all, and every copy of a text would cost more than the text.

use std::net::IpAddr;

use nightlatch_core::service::{ActiveSession, LoggedIn};
use nightlatch_core::{Email, Session, SessionId, Timestamp, User};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// An id as text.
struct Id(Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// A time as text.
struct Moment(Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.rfc3339().as_str())
    }
}

/// A user, as the user may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserShape<'a> {
    /// Stable, opaque identity.
    #[schema(value_type = String, format = "uuid", example = "0198f7a2-53c1-7d6e-8f3a-1c2b3d4e5f60")]
    id: Id,
    /// The name as typed at registration.
    #[schema(example = "alice")]
    username: &'a str,
    /// The e-mail address, if one was given.
    #[schema(example = "alice@example.org")]
    email: Option<&'a str>,
    /// Whether the e-mail is known to be this person's.
    email_verified: bool,
    /// The name to show; may be empty.
    #[schema(example = "Alice")]
    name: &'a str,
    /// Groups, sorted.
    #[schema(example = json!(["staff"]))]
    groups: &'a [String],
}

impl<'a> From<&'a User> for UserShape<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: Id(*user.id.as_uuid()),
            username: user.username.as_str(),
            email: user.email.as_ref().map(Email::as_str),
            email_verified: user.email_verified,
            name: &user.name,
            groups: user.groups.as_slice(),
        }
    }
}

/// A session, as its user may see it. The id is not the token: knowing it opens nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionShape<'a> {
    /// The handle to revoke it by.
    #[schema(value_type = String, format = "uuid", example = "0198f7a3-0b5e-7a41-9c77-5d2f8e6a1b03")]
    id: Id,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T08:00:00Z")]
    created_at: Moment,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T09:30:00Z")]
    last_seen_at: Moment,
    /// Absolute timeout. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-03-02T08:00:00Z")]
    expires_at: Moment,
    /// When it expires if it is not used again. RFC 3339, UTC.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_expires_at: Option<Moment>,
    /// The address that it was created from.
    #[schema(value_type = String, example = "192.0.2.7")]
    address: IpAddr,
    /// The browser or program in words, such as "Firefox on Linux".
    #[schema(max_length = 64, example = "Firefox on Linux")]
    user_agent: &'a str,
    /// Whether it is the session of this request.
    #[schema(example = true)]
    current: bool,
}

impl<'a> SessionShape<'a> {
    pub(crate) fn new(
        session: &'a Session,
        current: SessionId,
        idle_expires_at: Option<Timestamp>,
    ) -> Self {
        Self {
            id: Id(*session.id.as_uuid()),
            created_at: Moment(session.created_at),
            last_seen_at: Moment(session.last_seen_at),
            expires_at: Moment(session.expires_at),
            idle_expires_at: idle_expires_at.map(Moment),
            address: session.client.address,
            user_agent: &session.client.user_agent,
            current: session.id == current,
        }
    }

    /// Of a request that has it.
    pub(crate) fn of_active(active: &'a ActiveSession) -> Self {
        let session = active.session();
        let shape = Self::new(session, session.id, active.idle_expires_at);
        Self { last_seen_at: Moment(active.last_seen_at), ..shape }
    }
}

/// A user with the session of this request.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer<'a> {
    user: UserShape<'a>,
    session: SessionShape<'a>,
    /// To be sent back in `X-CSRF-Token` with every unsafe request.
    #[schema(example = "mD3k0Zt6…")]
    csrf_token: &'a str,
}

impl<'a> SessionAnswer<'a> {
    pub(crate) fn of_active(active: &'a ActiveSession, csrf_token: &'a str) -> Self {
        Self { session: SessionShape::of_active(active), user: active.user().into(), csrf_token }
    }

    pub(crate) fn of_login(logged_in: &'a LoggedIn, idle_expires_at: Option<Timestamp>) -> Self {
        let id = logged_in.session.id;
        Self {
            session: SessionShape::new(&logged_in.session, id, idle_expires_at),
            user: (&logged_in.user).into(),
            csrf_token: &logged_in.csrf_token,
        }
    }
}

/// A problem (RFC 9457), for the API document.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemShape {
    /// Where the code is explained, relative.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// The name to branch on; see `docs/errors.md`.
    code: String,
    /// Finds the line in the log.
    request_id: String,
    /// When to try again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// Fields that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldShape>,
    /// Outside production: what happened beneath.
    #[serde(skip_serializing_if = "Option::is_none")]
    original_error: Option<String>,
    /// Outside production: where it happened, and what was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_info: Option<DebugInfoShape>,
    /// Outside production: what to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<String>,
}

/// What people who run a server in development or staging are told of a failure beneath it.
#[derive(Serialize, ToSchema)]
#[schema(as = DebugInfo)]
pub(crate) struct DebugInfoShape {
    environment: String,
    /// `database`, `redis` or `auth_service`.
    dependency: String,
    /// The class of the failure.
    connectivity: String,
    /// How often the auth service was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Whether there are credentials for the auth service.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id_configured: Option<bool>,
}

/// A field that was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedField)]
pub(crate) struct FieldShape {
    field: String,
    message: String,
}
