//! Finding a user, `/operator`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use nightlatch_core::{AuditQuery, User, UserId};
use serde::Deserialize;
use uuid::Uuid;

use super::session::Operator;
use super::user;
use super::view::{EntryView, SearchView};
use crate::http::app::App;
use crate::http::pages::answer;
use crate::http::problem::Problem;

/// The most users that are offered.
const OFFERED_MAX: u32 = 20;

/// The most entries of the audit log that are shown.
pub(super) const ENTRIES_MAX: u32 = 20;

/// What is asked for: a name, the beginning of one, an e-mail, or an id.
#[derive(Default, Deserialize)]
struct Asked {
    user: Option<String>,
}

/// Leads to the user who is asked for, or offers those who could be meant.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    operator: Operator,
    uri: Uri,
) -> Result<Response, Problem> {
    // An address that cannot be read asks for nobody; the page is shown all the same.
    let Query(asked) = Query::<Asked>::try_from_uri(&uri).unwrap_or_default();
    let typed = asked.user.unwrap_or_default();
    let wanted = typed.trim();
    if let Some(user) = find(&app, wanted).await? {
        return Ok(answer::go(&app, &user::path(user.id), None));
    }
    let offered = match wanted {
        "" => Vec::new(),
        _ => app.service.list_users_like(wanted, OFFERED_MAX, app.deadline()).await?,
    };
    let query = AuditQuery { limit: ENTRIES_MAX, ..AuditQuery::default() };
    let entries = app.service.list_audit(query, app.deadline()).await?;
    let now = app.service.now();
    let view = SearchView {
        frame: operator.frame(&app, &headers),
        found_nobody: !wanted.is_empty() && offered.is_empty(),
        typed: wanted.to_owned(),
        offered: offered.iter().map(user::line).collect(),
        entries: entries.iter().map(|entry| EntryView::of(entry, now)).collect(),
    };
    Ok(answer::page(&app, &headers, &view))
}

async fn find(app: &App, wanted: &str) -> Result<Option<User>, Problem> {
    if wanted.is_empty() {
        return Ok(None);
    }
    if let Ok(id) = Uuid::try_parse(wanted) {
        return Ok(app.service.user(UserId::from_uuid(id), app.deadline()).await?);
    }
    Ok(app.service.find_user(wanted, app.deadline()).await?)
}
