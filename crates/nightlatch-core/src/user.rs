//! Users: who a session belongs to.

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

use crate::{Email, Entropy, Timestamp, Username, entropy};

/// Identifies a user. Not a secret; stays the same when the name or e-mail changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Uuid);

impl UserId {
    /// A new id, sorted by time.
    #[must_use]
    pub fn fresh(entropy: &dyn Entropy, now: Timestamp) -> Self {
        Self(entropy::fresh_id(entropy, now))
    }

    /// From a stored value.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// For storing.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The credential generation of a user: raised by a password change, a disabling, or "log out
/// everywhere". A session lives only while it carries its user's present generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub i64);

/// A user as every answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Stable identity.
    pub id: UserId,
    /// The name as typed at registration.
    pub username: Username,
    /// The e-mail as typed, if one was given.
    pub email: Option<Email>,
    /// Whether the e-mail is known to be this person's.
    pub email_verified: bool,
    /// The name to show; may be empty.
    pub name: String,
    /// Groups, sorted, without doubles.
    pub groups: Groups,
    /// Present credential generation.
    pub generation: Generation,
    /// Whether this user may log in.
    pub enabled: bool,
    /// When the user was created.
    pub created_at: Timestamp,
}

/// A name to show; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayName(String);

/// Why a name to show was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DisplayNameError {
    /// Longer than any page has room for.
    #[error("a name has at most {} characters", DisplayName::CHARS_MAX)]
    TooLong,
    /// Line breaks and the like, which would break logs and headers.
    #[error("a name has no control characters")]
    Control,
}

impl DisplayName {
    /// The longest name to show, in characters.
    pub const CHARS_MAX: usize = 150;

    /// Checks a name; surrounding blanks are cut.
    ///
    /// # Errors
    /// [`DisplayNameError`], whose text is fit to be shown beside the field.
    pub fn try_new(typed: &str) -> Result<Self, DisplayNameError> {
        let typed = typed.trim();
        if typed.chars().count() > Self::CHARS_MAX {
            return Err(DisplayNameError::TooLong);
        }
        if typed.chars().any(char::is_control) {
            return Err(DisplayNameError::Control);
        }
        Ok(Self(typed.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A user's groups: sorted, without doubles, safe in a comma-separated header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(Vec<String>);

/// Why a list of groups was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GroupsError {
    /// More groups than any header could carry.
    #[error("at most {} groups are possible", Groups::COUNT_MAX)]
    TooMany,
    /// A name that would break the list it is sent in.
    #[error("a group name has 1 to {} printable characters and no comma", Groups::CHARS_MAX)]
    BadName,
}

impl Groups {
    /// The most groups of a user.
    pub const COUNT_MAX: usize = 100;
    /// The longest group name, in characters.
    pub const CHARS_MAX: usize = 150;

    /// Sorts and checks a list of names; blanks around them are cut.
    ///
    /// # Errors
    /// [`GroupsError`] when there are too many or one cannot stand in a comma-separated list.
    pub fn try_new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, GroupsError> {
        let mut groups = Vec::new();
        for name in names {
            let name = name.as_ref().trim();
            let length = name.chars().count();
            let printable = !name.chars().any(|c| c.is_control() || c == ',');
            if length == 0 || length > Self::CHARS_MAX || !printable {
                return Err(GroupsError::BadName);
            }
            groups.push(name.to_owned());
        }
        groups.sort_unstable();
        groups.dedup();
        if groups.len() > Self::COUNT_MAX {
            return Err(GroupsError::TooMany);
        }
        Ok(Self(groups))
    }

    /// The names, sorted.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether a name is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|group| group.as_str().cmp(name)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_sorted_and_single() {
        let groups = Groups::try_new(["b", " a ", "b"]).expect("plain names");
        assert_eq!(groups.as_slice(), ["a", "b"]);
        assert_eq!(Groups::try_new(["a,b"]), Err(GroupsError::BadName));
        assert_eq!(Groups::try_new([" "]), Err(GroupsError::BadName));
    }
}
