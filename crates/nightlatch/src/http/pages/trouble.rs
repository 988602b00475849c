//! Problems in words for people: what happened, what to do, when to try again.
//!
//! The JSON answer speaks to a programmer; somebody who only wants in needs other words for the
//! same fact, and above all whether anything is lost.

use std::time::Duration;

use super::moment;
use crate::http::problem::{Code, Problem};

/// A problem as a person reads it.
pub(crate) struct Trouble {
    /// In a few words.
    pub(crate) title: String,
    /// What happened.
    pub(crate) what: String,
    /// What to do.
    pub(crate) advice: &'static str,
    /// When to try again: "in 2 seconds".
    pub(crate) wait: Option<String>,
}

impl Trouble {
    /// The words for a problem.
    pub(crate) fn of(problem: &Problem) -> Self {
        let (title, what, advice) = words(problem.code());
        Self {
            title: title.to_owned(),
            what: what.unwrap_or(problem.detail()).to_owned(),
            advice,
            wait: problem.retry_after_s().map(Duration::from_secs).map(moment::in_words),
        }
    }

    /// All of it in one paragraph, under the title.
    pub(crate) fn in_a_paragraph(&self) -> String {
        let Self { what, advice, wait, .. } = self;
        match wait {
            Some(wait) => format!("{what} {advice} Try again {wait}."),
            None => format!("{what} {advice}"),
        }
    }
}

/// Title, what happened (`None`: the problem's own detail says it best), what to do.
const fn words(code: Code) -> (&'static str, Option<&'static str>, &'static str) {
    match code {
        Code::BadRequest
        | Code::MethodNotAllowed
        | Code::BodyTooLarge
        | Code::WrongContentType
        | Code::HeadersTooLarge => {
            ("That did not arrive well", None, "Go back, load the page again and repeat it.")
        }
        Code::NotFound => (
            "There is nothing here",
            Some("The address is mistyped, or what was here is gone."),
            "Begin again at the start page.",
        ),
        Code::InvalidField => ("Please correct this", None, "Go back and look at what you typed."),
        Code::WeakPassword => ("That password is too easy to guess", None, "Choose another one."),
        Code::Throttled => (
            "Please wait a little",
            Some("There were too many tries. The pause keeps strangers from guessing."),
            "Nothing is lost, and your other devices stay logged in.",
        ),
        Code::InvalidCredentials => (
            "That did not match",
            Some("The name or the password is wrong."),
            "Check both and try again.",
        ),
        Code::NoSession | Code::TokenNotValid => {
            ("You are not logged in", Some("Your login has ended."), "Log in again.")
        }
        Code::CsrfFailed => (
            "We could not be sure that it was you",
            Some("The page was open for too long, or your browser keeps no cookies for us."),
            "Nothing was changed. Load the page again and repeat it.",
        ),
        Code::WrongPassword => ("That did not match", None, "Type your current password again."),
        Code::RegistrationClosed => (
            "Nobody can register here",
            Some("New accounts are made by whoever runs this service."),
            "Ask them for one.",
        ),
        Code::NotInGroup => (
            "This is not for you",
            Some("You are logged in, but in none of the groups that may see it."),
            "Ask whoever runs this service.",
        ),
        Code::UsernameTaken | Code::EmailTaken => ("That is taken", None, "Choose another one."),
        Code::ManagedElsewhere | Code::Upstream(_) => words_of_elsewhere(code),
        Code::Deadline | Code::StoreUnavailable | Code::StalenessExceeded => (
            "We cannot look that up just now",
            Some("Something beneath us does not answer. You are not logged out by this."),
            "We keep trying; please do so too.",
        ),
        Code::LoginBusy | Code::Overloaded => words_of_a_crowd(code),
        Code::LogoutPending => (
            "Your logout is not confirmed yet",
            Some(
                "This server lets nobody in with your login any more, and keeps at it until it is stored safely.",
            ),
            "Do not leave a shared computer before it is confirmed: load the page again.",
        ),
        Code::InternalError => (
            "We made a mistake",
            Some("This is a bug of ours, not of yours."),
            "Try again. If it stays, tell whoever runs this service the request number below.",
        ),
    }
}

const fn words_of_a_crowd(code: Code) -> (&'static str, Option<&'static str>, &'static str) {
    if matches!(code, Code::LoginBusy) {
        return (
            "Many people are logging in",
            Some("Your password was not checked yet."),
            "Nothing is wrong with it; please send it again.",
        );
    }
    (
        "Too much is going on just now",
        Some("We could not take your request. You are not logged out by this."),
        "Please send it again.",
    )
}

/// Of a password that another service keeps.
const fn words_of_elsewhere(code: Code) -> (&'static str, Option<&'static str>, &'static str) {
    if matches!(code, Code::ManagedElsewhere) {
        return (
            "That password is kept elsewhere",
            Some("You log in with the password of another service."),
            "Change it there; it holds here at once.",
        );
    }
    (
        "We cannot check your password just now",
        Some("The service that keeps it gave us no answer. Nothing is wrong with your password."),
        "Who is logged in stays so.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_sentences_for_people() {
        for code in Code::all() {
            let trouble = Trouble::of(&Problem::new(code));
            assert!(!trouble.title.ends_with('.'), "{code:?}");
            assert!(trouble.what.ends_with('.') && trouble.advice.ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn who_waits_is_told_how_long() {
        let problem = Problem::new(Code::LoginBusy).with_retry_after(Duration::from_millis(1_100));
        assert!(Trouble::of(&problem).in_a_paragraph().ends_with("Try again in 2 seconds."));
    }
}
