//! What another service calls a user: stays the same when names and addresses change.

use thiserror::Error;

/// The id of a user at the service that vouches for them. Compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

/// Why a text is nobody's id.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SubjectError {
    /// Nothing, or more than the limit.
    #[error("an id has 1 to {} bytes", Subject::BYTES_MAX)]
    Length,
    /// Line breaks and the like.
    #[error("an id has no control characters")]
    Control,
}

impl Subject {
    /// The longest id, in bytes (`OpenID` Connect Core 1.0, 2: `sub`).
    pub const BYTES_MAX: usize = 255;

    /// Takes an id as the service writes it.
    ///
    /// # Errors
    /// [`SubjectError`].
    pub fn try_new(text: &str) -> Result<Self, SubjectError> {
        if text.is_empty() || text.len() > Self::BYTES_MAX {
            return Err(SubjectError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(SubjectError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// As the service writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_id_can_be_is_refused() {
        for (text, error) in [
            ("", SubjectError::Length),
            (&*"a".repeat(256), SubjectError::Length),
            ("a\nb", SubjectError::Control),
        ] {
            assert_eq!(Subject::try_new(text), Err(error));
        }
        for id in ["42", "auth0|5f7c8ec7c33c6c004bbafe82", "Ä"] {
            assert_eq!(Subject::try_new(id).expect(id).as_str(), id);
        }
    }
}
