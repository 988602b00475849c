//! E-mail addresses: kept as typed, compared folded.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// An e-mail address. Two are the same if their folded forms are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    folded: String,
}

/// Why an e-mail address was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EmailError {
    /// Longer than any mail server takes (RFC 5321, 4.5.3.1.3).
    #[error("an e-mail address has at most {} bytes", Email::BYTES_MAX)]
    TooLong,
    /// Not `somebody@somewhere`.
    #[error("this is not an e-mail address")]
    Malformed,
}

impl Email {
    /// The longest address, in bytes: the path limit of RFC 5321 without its brackets.
    pub const BYTES_MAX: usize = 254;

    /// Checks the shape and folds. Whether the mailbox exists only a mail can tell.
    ///
    /// # Errors
    /// [`EmailError`] when it is too long or has no place for mail to go.
    pub fn try_new(typed: &str) -> Result<Self, EmailError> {
        let typed = typed.trim();
        if typed.len() > Self::BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = typed.rsplit_once('@').ok_or(EmailError::Malformed)?;
        let bad = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c);
        let domain_is_bad = domain.is_empty()
            || domain.starts_with(['.', '-'])
            || domain.ends_with(['.', '-'])
            || domain.contains("..");
        if local.is_empty() || local.contains(bad) || domain.contains(bad) || domain_is_bad {
            return Err(EmailError::Malformed);
        }
        Ok(Self { folded: Self::fold(typed), typed: typed.to_owned() })
    }

    /// The form in which addresses are compared: NFKC, lower case. The local part is folded too:
    /// RFC 5321 lets servers tell cases apart, people do not.
    #[must_use]
    pub fn fold(typed: &str) -> String {
        typed.trim().nfkc().collect::<String>().to_lowercase()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_mailbox_in_another_case_is_the_same() {
        let typed = Email::try_new(" Ann@Example.COM ").expect("an address");
        assert_eq!(typed.as_str(), "Ann@Example.COM");
        assert_eq!(typed.folded(), "ann@example.com");
    }

    #[test]
    fn shapes_that_cannot_receive_mail_are_refused() {
        for bad in ["", "a", "a@", "@b", "a b@c", "a@b..c", "a@.b", "a@b,c", "a@b@c", "a@b\n"] {
            let refused = Email::try_new(bad);
            assert!(refused.is_err() || bad.trim() != bad, "{bad:?} was taken");
        }
        assert_eq!(Email::try_new(&format!("{}@b.c", "a".repeat(260))), Err(EmailError::TooLong));
    }
}
