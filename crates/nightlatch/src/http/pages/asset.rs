//! The few files that pages load: built in, so that the server is one file.
//!
//! Pages name them with a checksum, so that browsers keep them for a year and still see a new
//! release at once.

use axum::Router;
use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

pub(crate) const STYLE: &[u8] = include_bytes!("../../../static/style.css");
pub(crate) const FORM_SCRIPT: &[u8] = include_bytes!("../../../static/form.js");
pub(crate) const SESSION_SCRIPT: &[u8] = include_bytes!("../../../static/session.js");
pub(crate) const STATUS_STYLE: &[u8] = include_bytes!("../../../static/status.css");
pub(crate) const STATUS_SCRIPT: &[u8] = include_bytes!("../../../static/status.js");
pub(crate) const REFERENCE_STYLE: &[u8] = include_bytes!("../../../static/reference.css");
pub(crate) const OPERATOR_STYLE: &[u8] = include_bytes!("../../../static/operator.css");
pub(crate) const MARK: &[u8] = include_bytes!("../../../static/mark.svg");
pub(crate) const NIGHT: &[u8] = include_bytes!("../../../static/night.svg");

/// Tells two releases of the files apart.
pub(crate) const VERSION: u32 = checksum(&[
    STYLE,
    FORM_SCRIPT,
    SESSION_SCRIPT,
    STATUS_STYLE,
    STATUS_SCRIPT,
    REFERENCE_STYLE,
    OPERATOR_STYLE,
    MARK,
    NIGHT,
]);

/// The table of files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    [
        ("/static/style.css", "text/css; charset=utf-8", STYLE),
        ("/static/form.js", "text/javascript; charset=utf-8", FORM_SCRIPT),
        ("/static/session.js", "text/javascript; charset=utf-8", SESSION_SCRIPT),
        ("/static/status.css", "text/css; charset=utf-8", STATUS_STYLE),
        ("/static/status.js", "text/javascript; charset=utf-8", STATUS_SCRIPT),
        ("/static/reference.css", "text/css; charset=utf-8", REFERENCE_STYLE),
        ("/static/operator.css", "text/css; charset=utf-8", OPERATOR_STYLE),
        ("/static/mark.svg", "image/svg+xml", MARK),
        ("/static/night.svg", "image/svg+xml", NIGHT),
    ]
    .into_iter()
    .fold(Router::new(), |router, (path, media_type, file)| {
        let serve = move |RawQuery(query)| async move { answer(query, media_type, file) };
        router.route(path, get(serve))
    })
}

fn answer(
    query: Option<String>,
    media_type: &'static str,
    file: &'static [u8],
) -> impl IntoResponse {
    // During a rolling release one node's page may ask another node for its files: what does not
    // answer to its name must not be kept under it.
    let is_this_release = query.is_some_and(|query| query == format!("v={VERSION}"));
    let keep = if is_this_release { "public, max-age=31536000, immutable" } else { "max-age=60" };
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, keep)], file)
}

/// FNV-1a: nothing but the caches of browsers rests on it.
const fn checksum(files: &[&[u8]]) -> u32 {
    let mut sum = 0x811c_9dc5_u32;
    let mut file = 0;
    while file < files.len() {
        let mut at = 0;
        while at < files[file].len() {
            sum = (sum ^ files[file][at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        file += 1;
    }
    sum
}
