//! Fields of a request: parsed at the door, all mistakes told at once.

use nightlatch_core::{DisplayName, Email, Password, Username};

use crate::http::problem::{FieldError, Problem};

/// Collects what is wrong while fields are parsed.
#[derive(Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// A name that somebody chooses.
    pub(crate) fn new_username(
        &mut self,
        field: &'static str,
        typed: Option<&str>,
    ) -> Option<Username> {
        let typed = self.required(field, typed)?;
        self.taken(field, Username::try_new(typed))
    }

    /// An e-mail address that may be left out.
    pub(crate) fn email(&mut self, field: &'static str, typed: Option<&str>) -> Option<Email> {
        let typed = typed.map(str::trim).filter(|typed| !typed.is_empty())?;
        self.taken(field, Email::try_new(typed))
    }

    /// A name to show that may be left out.
    pub(crate) fn display_name(&mut self, field: &'static str, typed: Option<&str>) -> DisplayName {
        self.taken(field, DisplayName::try_new(typed.unwrap_or_default())).unwrap_or_default()
    }

    /// A password.
    pub(crate) fn password(
        &mut self,
        field: &'static str,
        typed: Option<String>,
    ) -> Option<Password> {
        let typed = typed.filter(|typed| !typed.is_empty());
        if typed.is_none() {
            self.refuse(field, "is required");
        }
        self.taken(field, Password::try_new(typed?))
    }

    /// Name or e-mail, in whichever of the two fields, and password of who logs in.
    pub(crate) fn login(
        mut self,
        (username, email): (Option<String>, Option<String>),
        password: Option<String>,
    ) -> Result<(String, Password), Problem> {
        let typed = username.or(email);
        let login = self.required("username", typed.as_deref()).map(str::to_owned);
        match (login, self.password("password", password)) {
            (Some(login), Some(password)) => Ok((login, password)),
            _ => Err(self.into_problem()),
        }
    }

    /// A text that must be there.
    pub(crate) fn required<'t>(
        &mut self,
        field: &'static str,
        typed: Option<&'t str>,
    ) -> Option<&'t str> {
        let typed = typed.filter(|typed| !typed.trim().is_empty());
        if typed.is_none() {
            self.refuse(field, "is required");
        }
        typed
    }

    /// The problem, if anything is wrong so far.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0.clone())) }
    }

    /// The problem of what is wrong.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::invalid(self.0)
    }

    fn taken<T, E: std::error::Error>(
        &mut self,
        field: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    fn refuse(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push(FieldError { field, message: message.into() });
    }
}
