//! One user, `/operator/users/{id}`: their sessions, what was done to them, and what can be done.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::{ListedSessions, LogoutError};
use nightlatch_core::{AuditQuery, AuditedUser, SessionId, User, UserId};
use serde::Deserialize;
use uuid::Uuid;

use super::OPERATOR;
use super::search::ENTRIES_MAX;
use super::session::Operator;
use super::view::{EntryView, LineView, UserView};
use crate::http::app::App;
use crate::http::body;
use crate::http::pages::answer;
use crate::http::pages::flash::Flash;
use crate::http::pages::moment::Moment;
use crate::http::pages::sessions::{device, shown_max};
use crate::http::problem::{Code, Problem};

/// What the forms send.
#[derive(Deserialize)]
pub(crate) struct ActForm {
    csrf_token: Option<String>,
    /// A session's id, or `everywhere`.
    end: Option<String>,
    /// `disable` or `enable`.
    account: Option<String>,
}

/// What is to be done.
enum Act {
    End(SessionId),
    EndAll,
    Disable,
    Enable,
}

impl Act {
    fn parse(form: &ActForm) -> Option<Self> {
        match (form.end.as_deref(), form.account.as_deref()) {
            (Some("everywhere"), None) => Some(Self::EndAll),
            (Some(id), None) => Uuid::try_parse(id).ok().map(SessionId::from_uuid).map(Self::End),
            (None, Some("disable")) => Some(Self::Disable),
            (None, Some("enable")) => Some(Self::Enable),
            (None, None | Some(_)) | (Some(_), Some(_)) => None,
        }
    }
}

/// Shows the user.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    operator: Operator,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let user = find(&app, &id).await?;
    let ListedSessions { sessions, is_cut } =
        app.service.list_sessions_or_cut(user.id, app.deadline()).await?;
    let shown_max = shown_max(query.as_deref());
    let query = AuditQuery {
        user: Some(AuditedUser::Id(user.id)),
        limit: ENTRIES_MAX,
        ..AuditQuery::default()
    };
    let entries = app.service.list_audit(query, app.deadline()).await?;
    let (now, current) = (app.service.now(), operator.active.session().id);
    let view = UserView {
        frame: operator.frame(&app, &headers),
        path: path(user.id),
        user: line(&user),
        created: Moment::new(user.created_at, now),
        is_oneself: user.id == operator.active.user().id,
        hidden: sessions.len().saturating_sub(shown_max),
        sessions: sessions.iter().take(shown_max).map(|it| device(it, current, now)).collect(),
        is_cut,
        entries: entries.iter().map(|entry| EntryView::of(entry, now)).collect(),
        csrf_token: operator.csrf_token,
    };
    Ok(answer::page(&app, &headers, &view))
}

/// Does something to the user.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    operator: Operator,
    Path(id): Path<String>,
    body::Form(form): body::Form<ActForm>,
) -> Result<Response, Problem> {
    operator.check_form(&app, &headers, form.csrf_token.as_deref())?;
    let act = Act::parse(&form).ok_or_else(|| Problem::new(Code::BadRequest))?;
    let id = parse(&id)?;
    let (service, by, deadline) = (&app.service, operator.actor, app.deadline());
    let flash = match act {
        Act::End(session) => match service.revoke_session(id, session, by, deadline).await {
            Ok(()) => Flash::DeviceLoggedOut,
            Err(LogoutError::NoSession) => Flash::DeviceGone,
            Err(error @ (LogoutError::Pending(_) | LogoutError::Record(_))) => {
                return Err(error.into());
            }
        },
        Act::EndAll => {
            service.revoke_all_of(id, by, deadline).await?;
            Flash::UserLoggedOut
        }
        Act::Disable => {
            service.disable_user(id, by, deadline).await?.ok_or_else(nobody)?;
            Flash::UserDisabled
        }
        Act::Enable => {
            service.enable_user(id, by, deadline).await?.ok_or_else(nobody)?;
            Flash::UserEnabled
        }
    };
    Ok(answer::go(&app, &path(id), Some(flash)))
}

/// Where a user is shown.
pub(super) fn path(id: UserId) -> String {
    format!("{OPERATOR}/users/{}", id.as_uuid())
}

/// A user in a few words.
pub(super) fn line(user: &User) -> LineView {
    LineView {
        path: path(user.id),
        id: user.id.as_uuid().to_string(),
        username: user.username.as_str().to_owned(),
        name: user.name.clone(),
        email: user.email.as_ref().map(|email| email.as_str().to_owned()),
        email_verified: user.email_verified,
        groups: user.groups.as_slice().to_vec(),
        enabled: user.enabled,
    }
}

async fn find(app: &App, id: &str) -> Result<User, Problem> {
    app.service.user(parse(id)?, app.deadline()).await?.ok_or_else(nobody)
}

fn parse(id: &str) -> Result<UserId, Problem> {
    Uuid::try_parse(id).map(UserId::from_uuid).map_err(|_| nobody())
}

fn nobody() -> Problem {
    Problem::new(Code::NotFound)
}
