//! CORS: the exact origins that the operator named may call with credentials, nobody else.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::http::app::Settings;
use crate::http::request_id::X_REQUEST_ID;

/// How long a browser remembers a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_mins(10);

/// The layer, if anybody is named at all.
pub(crate) fn layer(settings: &Settings) -> Option<CorsLayer> {
    if settings.allowed_origins.is_empty() {
        return None;
    }
    let origins = settings.allowed_origins.iter();
    let origins = origins.filter_map(|origin| HeaderValue::from_str(&origin.to_string()).ok());
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([CONTENT_TYPE, AUTHORIZATION, HeaderName::from_static("x-csrf-token")])
            .expose_headers([RETRY_AFTER, X_REQUEST_ID])
            .max_age(PREFLIGHT_AGE),
    )
}
