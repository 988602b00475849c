//! POST /api/v1/auth/logout

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use nightlatch_core::Deadline;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::session::{Asks, EndsItself};

/// A durable logout.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogoutAnswer {
    /// Always `true`.
    #[schema(example = true)]
    revoked: bool,
    /// The seconds within which every other node refuses the session too: 0 if there is none, 2 if
    /// all others live, `NIGHTLATCH_MAX_STALENESS` if one fell silent within that time.
    #[schema(example = 0)]
    within_s: u64,
}

impl LogoutAnswer {
    /// Of a revocation that the record has.
    pub(crate) async fn durable(app: &App, deadline: Deadline) -> Self {
        let within = app.service.time_to_spread(deadline).await;
        Self { revoked: true, within_s: within.as_secs() }
    }
}

/// Ends this session. Answered only once it is durable; else 503 `logout_pending`, and this server
/// refuses the session at once.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "auth",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, body = LogoutAnswer),
        (status = 503, description = "logout_pending"),
    )
)]
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    Asks(actor): Asks,
    EndsItself { token, by }: EndsItself,
) -> Result<(HeaderMap, axum::Json<LogoutAnswer>), Problem> {
    let deadline = app.deadline();
    app.service.logout(token, actor, deadline).await?;
    let mut cookies = HeaderMap::new();
    by.forget(&app, &mut cookies);
    Ok((cookies, axum::Json(LogoutAnswer::durable(&app, deadline).await)))
}
