//! What every answer but a success must look like.

use nightlatch_testkit::client::Answer;
use serde_json::Value;

/// Codes with a wait in header and body.
const WITH_WAIT: [u16; 3] = [429, 503, 504];

/// Checks that an answer is the problem with that status and code, and returns its body.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{:?}", answer.body);
    assert_is_problem(answer)
}

/// Checks that an answer is a well-formed problem, and returns its body.
#[track_caller]
pub(crate) fn assert_is_problem(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let body = answer.json();
    let code = body["code"].as_str().expect("a problem has a code");
    assert_eq!(body["status"], answer.status, "{body}");
    assert_eq!(body["type"], format!("/docs/errors#{code}"), "{body}");
    for text in ["title", "detail", "request_id"] {
        let value = body[text].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{text} is missing: {body}");
    }
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{body}");
    if WITH_WAIT.contains(&answer.status) {
        let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
        assert!(wait.is_some_and(|wait| wait >= 1), "no Retry-After: {answer:?}");
        assert_eq!(body["retry_after_s"].as_u64(), wait, "{body}");
    }
    for error in body["errors"].as_array().into_iter().flatten() {
        assert!(error["field"].is_string() && error["message"].is_string(), "{body}");
    }
    body
}

/// The fields that a problem blames.
pub(crate) fn blamed(body: &Value) -> Vec<&str> {
    let errors = body["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["field"].as_str()).collect()
}
