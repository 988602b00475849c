//! What the operators' pages show, as plain values that their templates are checked against when compiled.

use askama::Template;
use nightlatch_core::{AuditEntry, Timestamp, Who};

use crate::http::pages::form::Form;
use crate::http::pages::moment::Moment;
use crate::http::pages::view::{DeviceView, Frame};

/// `/operator/login`
#[derive(Template)]
#[template(path = "operator_login.html")]
pub(crate) struct LoginView {
    pub(crate) frame: Frame,
    /// `None`: what is typed could be read on its way.
    pub(crate) form: Option<Form>,
}

impl LoginView {
    pub(crate) fn nobody_may_type() -> Self {
        Self { frame: Frame::default(), form: None }
    }

    fn has_errors(&self) -> bool {
        self.form.as_ref().is_some_and(Form::has_errors)
    }
}

/// `/operator`
#[derive(Template)]
#[template(path = "operator_search.html")]
pub(crate) struct SearchView {
    pub(crate) frame: Frame,
    pub(crate) typed: String,
    pub(crate) found_nobody: bool,
    pub(crate) offered: Vec<LineView>,
    /// The newest of everybody.
    pub(crate) entries: Vec<EntryView>,
}

/// `/operator/users/{id}`
#[derive(Template)]
#[template(path = "operator_user.html")]
pub(crate) struct UserView {
    pub(crate) frame: Frame,
    pub(crate) csrf_token: String,
    pub(crate) path: String,
    pub(crate) user: LineView,
    pub(crate) created: Moment,
    /// Whether the operator looks at themselves.
    pub(crate) is_oneself: bool,
    /// Those that are shown.
    pub(crate) sessions: Vec<DeviceView>,
    /// How many there are besides.
    pub(crate) hidden: usize,
    /// Whether there are more of them than anybody is shown.
    pub(crate) is_cut: bool,
    /// The newest of this user.
    pub(crate) entries: Vec<EntryView>,
}

/// A user in a few words.
pub(crate) struct LineView {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) username: String,
    /// May be empty.
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) enabled: bool,
}

/// An entry of the audit log.
pub(crate) struct EntryView {
    pub(crate) at: Moment,
    /// "Session revoked"
    pub(crate) action: String,
    pub(crate) count: Option<u64>,
    pub(crate) username: Option<String>,
    pub(crate) detail: Option<String>,
    /// "operator olga"; `None`: the user.
    pub(crate) by: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) request_id: Option<String>,
}

impl EntryView {
    pub(crate) fn of(entry: &AuditEntry, now: Timestamp) -> Self {
        Self {
            at: Moment::new(entry.at, now),
            action: in_words(&entry.action),
            count: entry.count,
            username: entry.username.clone(),
            detail: entry.detail.clone(),
            by: by_in_words(&entry.by.who),
            address: entry.by.address.map(|address| address.to_string()),
            request_id: entry.by.request_id.as_deref().map(str::to_owned),
        }
    }
}

/// "Session revoked" of `session-revoked`.
fn in_words(action: &str) -> String {
    let mut letters = action.chars().map(|c| if c == '-' { ' ' } else { c });
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn by_in_words(who: &Who) -> Option<String> {
    match who {
        Who::User => None,
        Who::Operator(name) => Some(format!("operator {name}")),
        Who::Command(name) => Some(format!("{name} at the command line")),
        Who::AuthService => Some("the auth service".to_owned()),
        Who::Node => Some("Nightlatch itself".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_told_in_words() {
        assert_eq!(in_words("session-revoked"), "Session revoked");
        assert_eq!(in_words(""), "");
    }
}
