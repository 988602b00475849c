//! Forms as the templates show them: fields, what was typed, and what was wrong with it.
//!
//! One place decides how a field is labelled, completed by password managers and told its error,
//! so that no form can forget one of them. What was typed into a password field is never kept.

use nightlatch_core::Password;

use super::trouble::Trouble;
use crate::http::problem::Problem;

/// A form.
#[derive(Debug)]
pub(crate) struct Form {
    /// Proof that it came from our page.
    pub(crate) csrf_token: String,
    /// Where to go afterwards.
    pub(crate) next: Option<String>,
    /// In the order in which they are shown.
    pub(crate) fields: Vec<Field>,
    /// What stopped the form as a whole.
    pub(crate) alert: Option<Alert>,
}

/// What stopped a form as a whole, none of its fields being wrong.
#[derive(Debug)]
pub(crate) struct Alert {
    /// What happened.
    pub(crate) title: String,
    /// Why, and what to do.
    pub(crate) detail: String,
}

/// One input.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the request, and its id in the page.
    pub(crate) name: &'static str,
    /// What is to be typed.
    pub(crate) label: &'static str,
    /// What it takes, for those who choose anew.
    pub(crate) hint: String,
    /// What is typed into it.
    pub(crate) kind: FieldKind,
    /// The token by which browsers and password managers know it (WCAG 2.2, 1.3.5).
    pub(crate) autocomplete: &'static str,
    /// Whether it may stay empty.
    pub(crate) required: bool,
    /// What was typed; always empty for passwords.
    pub(crate) value: String,
    /// What was wrong with it.
    pub(crate) error: Option<String>,
}

/// What is typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A name that is compared: no automatic capitals, no spell check.
    Identifier,
    /// An e-mail address.
    Email,
    /// A name that is only shown.
    Text,
    /// A password.
    Password,
}

impl FieldKind {
    /// The input's type.
    pub(crate) const fn input_type(self) -> &'static str {
        match self {
            Self::Identifier | Self::Text => "text",
            Self::Email => "email",
            Self::Password => "password",
        }
    }

    /// Whether what was typed is shown again.
    pub(crate) const fn is_text(self) -> bool {
        !matches!(self, Self::Password)
    }

    /// Whether keyboards must leave it as typed.
    pub(crate) const fn is_identifier(self) -> bool {
        matches!(self, Self::Identifier | Self::Email)
    }
}

impl Form {
    /// The form of a login.
    pub(crate) fn login(csrf_token: String, next: Option<String>) -> Self {
        let name = Field::new("username", "User name or e-mail", FieldKind::Identifier);
        let password = Field::new("password", "Password", FieldKind::Password);
        Self::new(
            csrf_token,
            [name.completed_by("username"), password.completed_by("current-password")],
        )
        .leading_to(next)
    }

    /// The form of a registration.
    pub(crate) fn register(csrf_token: String, next: Option<String>) -> Self {
        let username = Field::new("username", "User name", FieldKind::Identifier)
            .completed_by("username")
            .hinted("You log in with it. Letters and digits, no blanks, no @.".to_owned());
        let email = Field::new("email", "E-mail", FieldKind::Email).completed_by("email");
        let name = Field::new("name", "Name to show", FieldKind::Text).completed_by("name");
        let password = Field::new("password", "Password", FieldKind::Password)
            .completed_by("new-password")
            .hinted(password_rules());
        Self::new(csrf_token, [username, email.optional(), name.optional(), password])
            .leading_to(next)
    }

    /// The form of a password change.
    pub(crate) fn change_password(csrf_token: String) -> Self {
        let current = Field::new("current_password", "Current password", FieldKind::Password);
        let new = Field::new("new_password", "New password", FieldKind::Password);
        Self::new(
            csrf_token,
            [
                current.completed_by("current-password"),
                new.completed_by("new-password").hinted(password_rules()),
            ],
        )
    }

    fn new<const N: usize>(csrf_token: String, fields: [Field; N]) -> Self {
        Self { csrf_token, next: None, fields: fields.into(), alert: None }
    }

    fn leading_to(self, next: Option<String>) -> Self {
        Self { next, ..self }
    }

    /// Shows again what was typed. Passwords are not taken.
    pub(crate) fn typed(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|field| field.name == name);
        if let Some(field) = field.filter(|field| field.kind.is_text()) {
            value.clone_into(&mut field.value);
        }
        self
    }

    /// Says why the form was refused: beside the fields to blame, else at the top.
    pub(crate) fn refused(self, problem: &Problem) -> Self {
        if problem.fields().is_empty() {
            let trouble = Trouble::of(problem);
            return self.stopped(&trouble.title, &trouble.in_a_paragraph());
        }
        let faults = problem.fields().iter();
        faults.fold(self, |form, fault| form.fault(fault.field, &fault.message))
    }

    /// Says what is wrong with a field; of one that the form does not show, at the top.
    pub(crate) fn fault(mut self, name: &str, message: &str) -> Self {
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.error = Some(as_sentence(field.label, message)),
            None => return self.stopped(TITLE_OF_FAULTS, &as_sentence(name, message)),
        }
        self
    }

    /// Says what stopped the form as a whole.
    pub(crate) fn stopped(mut self, title: &str, detail: &str) -> Self {
        self.alert = Some(Alert { title: title.to_owned(), detail: detail.to_owned() });
        self
    }

    /// Whether there is anything to correct.
    pub(crate) fn has_errors(&self) -> bool {
        self.alert.is_some() || self.has_field_errors()
    }

    /// Whether a field is to be corrected.
    pub(crate) fn has_field_errors(&self) -> bool {
        self.fields.iter().any(|field| field.error.is_some())
    }

    /// The heading over the errors.
    pub(crate) fn error_title(&self) -> &str {
        self.alert.as_ref().map_or(TITLE_OF_FAULTS, |alert| &alert.title)
    }
}

const TITLE_OF_FAULTS: &str = "Please correct this";

impl Field {
    fn new(name: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self {
            name,
            label,
            hint: String::new(),
            kind,
            autocomplete: "off",
            required: true,
            value: String::new(),
            error: None,
        }
    }

    fn completed_by(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    fn hinted(self, hint: String) -> Self {
        Self { hint, ..self }
    }

    fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// The shortest new password: what password generators look for. The form does not enforce it,
    /// so that every mistake is told in one place.
    pub(crate) fn chars_min(&self) -> Option<usize> {
        (self.autocomplete == "new-password").then_some(Password::CHARS_MIN)
    }

    /// The ids of what explains the field, the error first: it is what brought the person back.
    pub(crate) fn described_by(&self) -> Option<String> {
        let error = self.error.as_ref().map(|_| format!("{}-error", self.name));
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let ids: Vec<String> = error.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

fn password_rules() -> String {
    format!(
        "At least {} characters, and not one that is easily guessed. A few unrelated words are \
         good; digits and signs are not needed.",
        Password::CHARS_MIN
    )
}

/// Errors of the rules are lower-case without a full stop, and may leave out what they are about;
/// people read sentences.
fn as_sentence(subject: &str, message: &str) -> String {
    let lacks_subject = message.starts_with("is ") || message.starts_with("has ");
    let message = if lacks_subject { format!("{subject} {message}") } else { message.to_owned() };
    let mut letters = message.chars();
    let mut sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    sentence.push_str(letters.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown_again() {
        let form = Form::login("token".to_owned(), None)
            .typed("username", "alice")
            .typed("password", "hunter2");
        assert_eq!(form.fields[0].value, "alice");
        assert_eq!(form.fields[1].value, "");
    }

    #[test]
    fn a_fault_stands_at_its_field_or_else_at_the_top() {
        let form = Form::register("token".to_owned(), None)
            .fault("username", "this user name is taken")
            .fault("password", "is required")
            .fault("captcha", "missing");
        assert_eq!(form.fields[0].error.as_deref(), Some("This user name is taken."));
        assert_eq!(form.fields[0].described_by().as_deref(), Some("username-error username-hint"));
        assert_eq!(form.fields[3].error.as_deref(), Some("Password is required."));
        assert_eq!(form.alert.expect("no such field").detail, "Missing.");
    }
}
