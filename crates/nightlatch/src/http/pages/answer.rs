//! How pages answer: a page, a page that says why a form was refused, or another place to go.
//!
//! A message of the page before is shown once: whatever page shows it takes the cookie away.

use askama::Template;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::flash::Flash;
use super::trouble::Trouble;
use super::view::{self, Frame, ProblemView};
use crate::http::app::App;
use crate::http::cookie;
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The message of the page before, if any.
pub(crate) fn flash(app: &App, headers: &HeaderMap) -> Option<Flash> {
    app.settings.cookies.flash(headers).and_then(Flash::parse)
}

/// A page.
pub(crate) fn page(app: &App, headers: &HeaderMap, view: &impl Template) -> Response {
    let mut response = ([(CONTENT_TYPE, HTML)], view::html(view)).into_response();
    if app.settings.cookies.flash(headers).is_some() {
        cookie::append(response.headers_mut(), app.settings.cookies.clear_flash());
    }
    response
}

/// The page of a form that was refused, instead of the usual page of the problem. Status and
/// headers are the problem's.
pub(crate) fn refused(problem: Problem, view: &impl Template) -> Response {
    let mut response = problem.into_response();
    response.extensions_mut().insert(FormPage(view::html(view)));
    response
}

#[derive(Clone)]
struct FormPage(String);

/// Shows a problem to a person.
pub(crate) fn problem_page(problem: &Problem, id: &RequestId, response: &mut Response) {
    let form = response.extensions_mut().remove::<FormPage>();
    let page = form.map_or_else(|| usual_page(problem, id), |FormPage(page)| page);
    *response.body_mut() = page.into();
    response.headers_mut().insert(CONTENT_TYPE, HTML);
}

fn usual_page(problem: &Problem, id: &RequestId) -> String {
    let Trouble { title, what, advice, wait } = Trouble::of(problem);
    view::html(&ProblemView {
        frame: Frame::default(),
        status: problem.status().as_u16(),
        title,
        what,
        advice: advice.to_owned(),
        wait,
        request_id: id.as_str().to_owned(),
    })
}

/// Leads on after a form, so that reloading sends nothing twice.
pub(crate) fn go(app: &App, target: &str, flash: Option<Flash>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Targets are our own paths, or passed the redirect check, which lets through only ASCII.
    let target = HeaderValue::from_str(target).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, target);
    if let Some(flash) = flash {
        cookie::append(response.headers_mut(), app.settings.cookies.set_flash(flash.code()));
    }
    response
}

/// Sets the cookies of an answer, beside those it sets already.
pub(crate) fn with_cookies(mut response: Response, cookies: &HeaderMap) -> Response {
    for cookie in cookies.get_all(SET_COOKIE) {
        cookie::append(response.headers_mut(), cookie.clone());
    }
    response
}
