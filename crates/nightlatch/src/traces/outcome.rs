//! What a collector makes of an export (OTLP 1, "OTLP/HTTP Response").

use std::time::Duration;

use nightlatch_core::FailureClass;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use crate::outbound::{RawAnswer, Unanswered};

/// Why an export was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) class: FailureClass,
    /// Whether the same may be sent again, and what it has to be waited for at least.
    pub(super) again_after: Option<Duration>,
}

impl Refusal {
    const fn final_as(class: FailureClass) -> Self {
        Self { class, again_after: None }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        let class = unanswered.class();
        let may_be_repeated = match unanswered {
            Unanswered::Unconnected(class) => !class.is_of_tls(),
            Unanswered::ConnectTimeout | Unanswered::Closed => true,
            // It may have them, or will never take any.
            Unanswered::ReadTimeout
            | Unanswered::Cut
            | Unanswered::Garbage(_)
            | Unanswered::UnusableAuthorities(_) => false,
        };
        Self { class, again_after: may_be_repeated.then_some(Duration::ZERO) }
    }
}

/// How many spans it did not want.
pub(super) fn read(answer: &RawAnswer, has_headers: bool) -> Result<u64, Refusal> {
    match answer.status.as_u16() {
        200..=299 => Ok(rejected(answer)),
        401 if has_headers => Err(Refusal::final_as(FailureClass::AuthFailed)),
        401 => Err(Refusal::final_as(FailureClass::AuthRequired)),
        403 => Err(Refusal::final_as(FailureClass::Forbidden)),
        404 | 405 => Err(Refusal::final_as(FailureClass::Missing)),
        429 | 502 | 503 | 504 => {
            let again_after = Some(answer.retry_after().unwrap_or_default());
            Err(Refusal { class: FailureClass::Busy, again_after })
        }
        _ => Err(Refusal::final_as(FailureClass::Protocol)),
    }
}

/// A body that is none says nothing of rejected spans.
fn rejected(answer: &RawAnswer) -> u64 {
    let response = ExportTraceServiceResponse::decode(&*answer.body).unwrap_or_default();
    let rejected = response.partial_success.map(|partial| partial.rejected_spans);
    u64::try_from(rejected.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use http::header::RETRY_AFTER;
    use http::{HeaderMap, StatusCode};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    fn answer(status: u16, body: Vec<u8>) -> RawAnswer {
        let status = StatusCode::from_u16(status).unwrap();
        RawAnswer { status, headers: HeaderMap::new(), body: Bytes::from(body) }
    }

    #[test]
    fn a_collector_may_take_a_part() {
        let partial = |rejected_spans| {
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: "x".into() };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        for (body, rejected) in [
            (partial(3), 3),
            (partial(0), 0),
            (partial(-1), 0),
            (Vec::new(), 0),
            (b"<html>".to_vec(), 0),
        ] {
            assert_eq!(read(&answer(200, body), false), Ok(rejected));
        }
    }

    #[test]
    fn what_is_refused_for_good_is_not_sent_again() {
        for (status, class, is_final) in [
            (400, FailureClass::Protocol, true),
            (401, FailureClass::AuthRequired, true),
            (403, FailureClass::Forbidden, true),
            (404, FailureClass::Missing, true),
            (429, FailureClass::Busy, false),
            (500, FailureClass::Protocol, true),
            (503, FailureClass::Busy, false),
        ] {
            let refusal = read(&answer(status, Vec::new()), false).unwrap_err();
            assert_eq!(
                (refusal.class, refusal.again_after.is_none()),
                (class, is_final),
                "{status}"
            );
        }
        let mut busy = answer(503, Vec::new());
        busy.headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(read(&busy, false).unwrap_err().again_after, Some(Duration::from_secs(7)));
        let refusal = read(&answer(401, Vec::new()), true).unwrap_err();
        assert_eq!(refusal.class, FailureClass::AuthFailed);
    }

    #[test]
    fn what_may_have_arrived_is_not_sent_again() {
        for (unanswered, is_repeated) in [
            (Unanswered::Unconnected(FailureClass::Unreachable), true),
            (Unanswered::Unconnected(FailureClass::TlsExpired), false),
            (Unanswered::ConnectTimeout, true),
            (Unanswered::Closed, true),
            (Unanswered::ReadTimeout, false),
            (Unanswered::Cut, false),
        ] {
            assert_eq!(Refusal::from(unanswered.clone()).again_after.is_some(), is_repeated);
        }
    }
}
