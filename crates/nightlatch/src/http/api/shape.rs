//! The shapes that several answers share.

use nightlatch_core::service::{ActiveSession, LoggedIn};
use nightlatch_core::{Session, SessionId, Timestamp, User};
use serde::Serialize;
use utoipa::ToSchema;

/// A user, as the user may see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserShape {
    /// Stable, opaque identity.
    id: String,
    /// The name as typed at registration.
    username: String,
    /// The e-mail address, if one was given.
    email: Option<String>,
    /// Whether the e-mail is known to be this person's.
    email_verified: bool,
    /// The name to show; may be empty.
    name: String,
    /// Groups, sorted.
    groups: Vec<String>,
}

impl From<User> for UserShape {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str().to_owned(),
            email: user.email.map(|email| email.as_str().to_owned()),
            email_verified: user.email_verified,
            name: user.name,
            groups: user.groups.as_slice().to_vec(),
        }
    }
}

/// A session, as its user may see it. The id is not the token: knowing it opens nothing.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionShape {
    /// The handle to revoke it by.
    id: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// Absolute timeout. RFC 3339, UTC.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it expires if it is not used again. RFC 3339, UTC.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_expires_at: Option<String>,
    /// The address that it was created from.
    address: String,
    /// The browser or program in words, such as "Firefox on Linux".
    #[schema(max_length = 64)]
    user_agent: String,
    /// Whether it is the session of this request.
    current: bool,
}

impl SessionShape {
    pub(crate) fn new(
        session: &Session,
        current: SessionId,
        idle_expires_at: Option<Timestamp>,
    ) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: session.created_at.to_rfc3339(),
            last_seen_at: session.last_seen_at.to_rfc3339(),
            expires_at: session.expires_at.to_rfc3339(),
            idle_expires_at: idle_expires_at.map(Timestamp::to_rfc3339),
            address: session.client.address.to_string(),
            user_agent: session.client.user_agent.clone(),
            current: session.id == current,
        }
    }
}

/// A user with the session of this request.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    user: UserShape,
    session: SessionShape,
    /// To be sent back in `X-CSRF-Token` with every unsafe request.
    csrf_token: String,
}

impl SessionAnswer {
    pub(crate) fn of_active(active: &ActiveSession, csrf_token: String) -> Self {
        let session = active.session();
        let mut shape = SessionShape::new(session, session.id, active.idle_expires_at);
        shape.last_seen_at = active.last_seen_at.to_rfc3339();
        Self { session: shape, user: active.user().clone().into(), csrf_token }
    }

    pub(crate) fn of_login(logged_in: LoggedIn, idle_expires_at: Option<Timestamp>) -> Self {
        let id = logged_in.session.id;
        Self {
            session: SessionShape::new(&logged_in.session, id, idle_expires_at),
            user: logged_in.user.into(),
            csrf_token: logged_in.csrf_token,
        }
    }
}

/// A problem (RFC 9457), for the API document.
#[derive(Serialize, ToSchema)]
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
}

/// A field that was refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldShape {
    field: String,
    message: String,
}
