//! Gives problems their bodies, in one place: JSON for programs, a page for people.

use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::{Cause, Code, Problem};
use crate::config::Environment;
use crate::http::pages;
use crate::http::request_id::RequestId;

/// The media type of RFC 9457.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// RFC 9457, with the members of our contract.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Field<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    debug: Option<Debug<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    message: &'a str,
}

/// What only people who run it in development or staging see.
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
#[derive(Serialize)]
struct Debug<'a> {
    original_error: &'a str,
    debug_info: DebugInfo<'a>,
    suggestions: &'static [&'static str],
}

#[derive(Serialize)]
struct DebugInfo<'a> {
    environment: &'static str,
    dependency: &'static str,
    connectivity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id_configured: Option<bool>,
}

/// Gives an answer that is a problem its body, and logs what is our fault. The problem, if it is one.
pub(crate) fn render(
    environment: Environment,
    id: &RequestId,
    is_page: bool,
    response: &mut Response,
) -> Option<Arc<Problem>> {
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    let problem = problem.or_else(|| problem_of_layer(response.status()))?;
    log(&problem, id);
    if is_page {
        pages::problem_page(&problem, id, response);
    } else {
        let body = serde_json::to_vec(&body_of(environment, &problem, id)).unwrap_or_default();
        *response.body_mut() = body.into();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    }
    set_headers(&problem, response);
    Some(problem)
}

/// Answers that the router or a library layer made without a body of ours.
fn problem_of_layer(status: StatusCode) -> Option<Arc<Problem>> {
    let code = match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::INTERNAL_SERVER_ERROR => Code::InternalError,
        _ => return None,
    };
    Some(Arc::new(Problem::new(code)))
}

fn body_of<'a>(environment: Environment, problem: &'a Problem, id: &'a RequestId) -> Body<'a> {
    let debug = problem.cause.as_ref().filter(|_| !environment.is_production());
    Body {
        r#type: format!("/docs/errors#{}", problem.code.as_str()),
        title: problem.code.title(),
        status: problem.status().as_u16(),
        detail: &problem.detail,
        code: problem.code.as_str(),
        request_id: id.as_str(),
        retry_after_s: problem.retry_after_s(),
        errors: problem
            .fields
            .iter()
            .map(|f| Field { field: f.field, message: &f.message })
            .collect(),
        debug: debug.map(|cause| Debug {
            original_error: &cause.original,
            debug_info: DebugInfo {
                environment: environment.as_str(),
                dependency: cause.dependency,
                connectivity: cause.class,
                attempts: cause.tried.map(|tried| tried.attempts),
                service_id_configured: cause.tried.map(|tried| tried.service_id_configured),
            },
            suggestions: problem.code.suggestions(),
        }),
    }
}

fn set_headers(problem: &Problem, response: &mut Response) {
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let (Some(limit), Some(seconds)) = (problem.limit, problem.retry_after_s()) {
        // draft-ietf-httpapi-ratelimit-headers: q quota, w window, r remaining, t until reset.
        let policy = format!("\"tries\";q={};w={}", limit.count, limit.span.as_secs());
        let rest = format!("\"tries\";r=0;t={seconds}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", rest)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    if problem.status() == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nightlatch\""));
    }
}

/// One line for each failure beneath us or bug, with the id that the answer carries.
fn log(problem: &Problem, id: &RequestId) {
    let code = problem.code.as_str();
    let request_id = id.as_str();
    if let Some(cause) = &problem.cause {
        let Cause { dependency, class, original, .. } = &**cause;
        tracing::debug!(event = "request.failed", code, request_id, dependency, class, error = %original);
    } else if problem.code == Code::InternalError {
        tracing::error!(event = "request.bug", code, request_id);
    }
}
