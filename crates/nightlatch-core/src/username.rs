//! User names: kept as typed, compared as RFC 8265 `UsernameCaseMapped` says.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::Email;

/// A user name that passed the rules. Two are the same if their folded forms are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    typed: String,
    folded: String,
}

/// Why a user name was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsernameError {
    /// Nothing, or more than the limit.
    #[error("a user name has 1 to {} characters", Username::CHARS_MAX)]
    Length,
    /// An `@` would make it look like an e-mail address at login.
    #[error("a user name has no @")]
    AtSign,
    /// Blanks, control, zero-width or other characters outside RFC 8265's identifiers.
    #[error("a user name has letters, digits and marks only, without blanks")]
    Characters,
    /// A name that people would take for the operator's.
    #[error("this user name is reserved")]
    Reserved,
}

/// Names that people would take for the operator's, folded.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "everyone",
    "guest",
    "hostmaster",
    "info",
    "mailer-daemon",
    "me",
    "moderator",
    "nightlatch",
    "nobody",
    "noreply",
    "no-reply",
    "official",
    "operator",
    "postmaster",
    "root",
    "security",
    "self",
    "staff",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "webmaster",
];

impl Username {
    /// The longest user name, in characters.
    pub const CHARS_MAX: usize = 64;

    /// Checks a name that somebody chose; surrounding blanks are cut.
    ///
    /// # Errors
    /// [`UsernameError`], whose text is fit to be shown beside the field.
    pub fn try_new(typed: &str) -> Result<Self, UsernameError> {
        let name = Self::try_existing(typed)?;
        if RESERVED.contains(&name.folded.as_str()) {
            return Err(UsernameError::Reserved);
        }
        Ok(name)
    }

    /// As [`Self::try_new`] for a name that an operator gives: reserved ones are allowed.
    ///
    /// # Errors
    /// [`UsernameError`], but never [`UsernameError::Reserved`].
    pub fn try_existing(typed: &str) -> Result<Self, UsernameError> {
        let typed = typed.trim();
        let length = typed.chars().count();
        if length == 0 || length > Self::CHARS_MAX {
            return Err(UsernameError::Length);
        }
        if typed.contains('@') {
            return Err(UsernameError::AtSign);
        }
        let folded = fold(typed).ok_or(UsernameError::Characters)?;
        // Full-width `＠` folds to an `@`: the folded form must keep the rules too.
        if folded.contains('@') {
            return Err(UsernameError::AtSign);
        }
        if folded.chars().count() > Self::CHARS_MAX {
            return Err(UsernameError::Length);
        }
        Ok(Self { typed: typed.to_owned(), folded })
    }

    /// As typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// As compared.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// How often a name is folded until it stays the same: RFC 8264, 7, asks for one time and three more.
const FOLDS_MAX: usize = 4;

/// RFC 8265, 3.3: width mapping, case mapping, NFC, the bidi rule, and identifier characters only.
///
/// One fold may give what the next one changes or refuses (the lower-case letter of a Cherokee
/// one is newer than the tables of identifiers): such a text is nobody's name.
fn fold(typed: &str) -> Option<String> {
    let mut folded = UsernameCaseMapped::enforce(typed).ok()?.into_owned();
    for _ in 1..FOLDS_MAX {
        let again = UsernameCaseMapped::enforce(folded.as_str()).ok()?.into_owned();
        if again == folded {
            return Some(folded);
        }
        folded = again;
    }
    None
}

/// What somebody typed where a user name or an e-mail is asked for, folded for look-up and
/// counting. It always exists: what cannot be a name is counted like one that nobody has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginName {
    /// Looked up among user names.
    Username(String),
    /// Looked up among e-mail addresses.
    Email(String),
    /// Nobody can have it; only counted.
    Impossible(String),
}

impl LoginName {
    /// The longest login name that is looked at, in bytes. Longer ones are nobody's.
    pub const BYTES_MAX: usize = 1024;

    /// Folds what was typed. The same person typed differently is one name.
    #[must_use]
    pub fn fold(typed: &str) -> Self {
        let typed = typed.trim();
        if typed.contains('@') && typed.len() <= Email::BYTES_MAX {
            return Self::Email(Email::fold(typed));
        }
        if typed.len() <= Self::BYTES_MAX
            && let Some(folded) = fold(typed)
        {
            return Self::Username(folded);
        }
        let kept: String =
            typed.nfkc().filter(|c| !c.is_whitespace()).take(Self::BYTES_MAX).collect();
        Self::Impossible(kept.to_lowercase())
    }

    /// The folded text, for counting.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Username(name) | Self::Email(name) | Self::Impossible(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_look_alike_fold_alike() {
        for (typed, folded) in [
            (" Alice ", "alice"),
            ("ＡＬＩＣＥ", "alice"),
            ("Ju\u{308}rgen", "jürgen"),
            ("O'Neil", "o'neil"),
        ] {
            let name = Username::try_new(typed).expect(typed);
            assert_eq!(name.folded(), folded);
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused_with_the_reason() {
        for (typed, why) in [
            ("", UsernameError::Length),
            (&"a".repeat(65), UsernameError::Length),
            ("a@b", UsernameError::AtSign),
            ("a＠b", UsernameError::AtSign),
            ("a b", UsernameError::Characters),
            ("a\u{200b}b", UsernameError::Characters),
            ("a\u{202e}b", UsernameError::Characters),
            ("a\0b", UsernameError::Characters),
            ("\u{13a0}", UsernameError::Characters),
            ("Admin", UsernameError::Reserved),
            ("ＲＯＯＴ", UsernameError::Reserved),
        ] {
            assert_eq!(Username::try_new(typed), Err(why), "{typed:?}");
        }
        assert!(Username::try_existing("admin").is_ok());
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(typed in "\\PC{1,64}") {
            if let Ok(name) = Username::try_existing(&typed) {
                let again = Username::try_existing(name.folded()).expect("folded names are names");
                prop_assert_eq!(again.folded(), name.folded());
                prop_assert_eq!(
                    LoginName::fold(&typed),
                    LoginName::Username(name.folded().to_owned())
                );
            }
        }

        #[test]
        fn any_text_can_be_counted(typed in any::<String>()) {
            let once = LoginName::fold(&typed);
            prop_assert_eq!(LoginName::fold(&typed), once);
        }
    }
}
