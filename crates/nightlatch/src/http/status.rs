//! GET /status: how this node is and was, as a page for operators.
//!
//! Served beside the metrics. All of it is known already: a page that asks hangs with what hangs.

mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use self::view::StatusView;
use crate::http::app::App;
use crate::http::pages;
use crate::status::Board;

/// GET /status, beside everything else.
pub(crate) async fn status(State(app): State<Arc<App>>) -> Response {
    answer(&app.board)
}

/// The page.
pub(crate) fn answer(board: &Board) -> Response {
    let view = StatusView::of(board);
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], pages::html(&view)).into_response()
}
