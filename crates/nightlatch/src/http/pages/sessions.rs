//! The device page, `/auth/sessions`: where one is logged in, and how to end it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::LogoutError;
use nightlatch_core::{Session, SessionId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::answer;
use super::flash::Flash;
use super::logout;
use super::moment::Moment;
use super::view::{DeviceView, Section, SessionsView};
use super::visitor::Visitor;
use crate::http::app::App;
use crate::http::body;
use crate::http::problem::{Code, Problem};
use crate::http::session::Asks;

/// What the form sends: a session's id, `others` or `everywhere`.
#[derive(Deserialize)]
pub(crate) struct EndForm {
    csrf_token: Option<String>,
    end: Option<String>,
}

/// Shows the devices.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let active = &visitor.active;
    let sessions = app.service.list_sessions(active.user().id, app.deadline()).await?;
    let now = app.service.now();
    let devices =
        sessions.iter().map(|session| device(session, active.session().id, now)).collect();
    let shown_max = shown_max(query.as_deref());
    let frame = visitor.frame(Section::Devices, answer::flash(&app, &headers));
    let view = SessionsView::new(frame, visitor.csrf_token, devices, shown_max);
    Ok(answer::page(&app, &headers, &view))
}

/// How many devices are shown: what keeps the page small, unless all are asked for.
pub(super) fn shown_max(query: Option<&str>) -> usize {
    if query == Some("all=true") { usize::MAX } else { SessionsView::SHORT_LIST }
}

/// Logs devices out.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Asks(actor): Asks,
    visitor: Visitor,
    body::Form(form): body::Form<EndForm>,
) -> Result<Response, Problem> {
    visitor.check_form(&app, &headers, form.csrf_token.as_deref())?;
    let (user, current) = (visitor.active.user().id, visitor.active.session().id);
    let which = Which::parse(form.end.as_deref()).ok_or_else(|| Problem::new(Code::BadRequest))?;
    match which {
        Which::Everywhere => {
            app.service.revoke_all_of(user, actor, app.deadline()).await?;
            Ok(logout::gone(&app, Flash::EverywhereLoggedOut))
        }
        Which::Others => {
            app.service.revoke_others(user, current, actor, app.deadline()).await?;
            Ok(answer::go(&app, "/auth/sessions", Some(Flash::OthersLoggedOut)))
        }
        Which::One(id) => {
            let ended = app.service.revoke_session(user, id, actor, app.deadline()).await;
            after_one(&app, ended, id == current)
        }
    }
}

fn after_one(
    app: &App,
    ended: Result<(), LogoutError>,
    is_current: bool,
) -> Result<Response, Problem> {
    match ended {
        Ok(()) if is_current => Ok(logout::gone(app, Flash::LoggedOut)),
        Ok(()) => Ok(answer::go(app, "/auth/sessions", Some(Flash::DeviceLoggedOut))),
        Err(LogoutError::NoSession) => {
            Ok(answer::go(app, "/auth/sessions", Some(Flash::DeviceGone)))
        }
        Err(error @ (LogoutError::Pending(_) | LogoutError::Record(_))) => Err(error.into()),
    }
}

/// Which sessions are to end.
enum Which {
    One(SessionId),
    Others,
    Everywhere,
}

impl Which {
    fn parse(end: Option<&str>) -> Option<Self> {
        match end? {
            "others" => Some(Self::Others),
            "everywhere" => Some(Self::Everywhere),
            id => Uuid::try_parse(id).ok().map(SessionId::from_uuid).map(Self::One),
        }
    }
}

pub(super) fn device(session: &Session, current: SessionId, now: Timestamp) -> DeviceView {
    DeviceView {
        id: session.id.to_string(),
        user_agent: session.client.user_agent.clone(),
        address: session.client.address.to_string(),
        created: Moment::new(session.created_at, now),
        last_seen: Moment::new(session.last_seen_at, now),
        current: session.id == current,
    }
}
