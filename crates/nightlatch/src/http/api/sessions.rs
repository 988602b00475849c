//! GET /api/v1/sessions, DELETE /api/v1/sessions, DELETE /api/v1/sessions/{id}

#![expect(unused_qualifications, reason = "the macro of the API document writes full paths")]

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::SessionId;
use nightlatch_core::service::LogoutError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::logout::LogoutAnswer;
use super::shape::SessionShape;
use crate::http::app::App;
use crate::http::json::json;
use crate::http::problem::{Code, Problem};
use crate::http::session::{Asks, Authenticated, AuthenticatedWrite};

/// One's devices.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsAnswer<'a> {
    sessions: Vec<SessionShape<'a>>,
}

/// Which sessions to end.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    /// `true` ends the session of this request too.
    #[param(value_type = bool, required = false)]
    current: Option<bool>,
}

/// Lists one's sessions, newest first, at most 200.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, body = SessionsAnswer),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Authenticated(active): Authenticated,
) -> Result<Response, Problem> {
    let sessions = app.service.list_sessions(active.user().id, app.deadline()).await?;
    let current = active.session().id;
    let shape = |session| SessionShape::new(session, current, app.idle_expiry_of(session));
    Ok(json(&SessionsAnswer { sessions: sessions.iter().map(shape).collect() }))
}

/// Ends one of one's sessions. Somebody else's is 404, as one that never was.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    params(
        ("id" = String, Path, description = "A session's id"),
    ),
    responses(
        (status = 200, body = LogoutAnswer),
        (status = 404, description = "not_found"),
        (status = 503, description = "logout_pending"),
    )
)]
pub(crate) async fn revoke_one(
    State(app): State<Arc<App>>,
    Asks(actor): Asks,
    AuthenticatedWrite { active, by }: AuthenticatedWrite,
    id: Result<Path<String>, PathRejection>,
) -> Result<(HeaderMap, axum::Json<LogoutAnswer>), Problem> {
    // What is not even text names no session either.
    let Path(id) = id.map_err(|_| Problem::new(Code::NotFound))?;
    let id = Uuid::try_parse(&id).map_err(|_| Problem::new(Code::NotFound))?;
    let id = SessionId::from_uuid(id);
    let deadline = app.deadline();
    match app.service.revoke_session(active.user().id, id, actor, deadline).await {
        Ok(()) => {}
        Err(LogoutError::NoSession) => return Err(Problem::new(Code::NotFound)),
        Err(error @ (LogoutError::Pending(_) | LogoutError::Record(_))) => return Err(error.into()),
    }
    let mut cookies = HeaderMap::new();
    if id == active.session().id {
        by.forget(&app, &mut cookies);
    }
    Ok((cookies, axum::Json(LogoutAnswer::durable(&app, deadline).await)))
}

/// Ends all other sessions of one's, or with `current=true` this one too.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    params(
        RevokeQuery,
    ),
    responses(
        (status = 200, body = LogoutAnswer),
        (status = 400, description = "bad_request: `current` is neither `true` nor `false`"),
        (status = 503, description = "logout_pending"),
    )
)]
pub(crate) async fn revoke_all(
    State(app): State<Arc<App>>,
    Asks(actor): Asks,
    AuthenticatedWrite { active, by }: AuthenticatedWrite,
    query: Result<Query<RevokeQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<(HeaderMap, axum::Json<LogoutAnswer>), Problem> {
    let Query(query) = query
        .map_err(|_| Problem::new(Code::BadRequest).with_detail("current is true or false."))?;
    let deadline = app.deadline();
    let mut cookies = HeaderMap::new();
    if query.current.unwrap_or(false) {
        app.service.revoke_all_of(active.user().id, actor, deadline).await?;
        by.forget(&app, &mut cookies);
    } else {
        let (user, current) = (active.user().id, active.session().id);
        app.service.revoke_others(user, current, actor, deadline).await?;
    }
    Ok((cookies, axum::Json(LogoutAnswer::durable(&app, deadline).await)))
}
