//! One user as a file says it, whatever the format, and the rules it must pass.

use nightlatch_core::{
    DisplayName, Email, Groups, ImportUser, PasswordHash, Timestamp, UserId, Username,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Origin;
use crate::hashing::check_stored;

/// The most of a name that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// What a file says of one user. Empty texts are as good as absent ones.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) is_active: Option<String>,
    pub(super) email_verified: Option<String>,
    pub(super) created_at: Option<String>,
    /// Why it could not even be read.
    pub(super) damage: Option<String>,
}

/// What a column or a member means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Username,
    Email,
    Name,
    FirstName,
    LastName,
    Hash,
    Groups,
    IsActive,
    EmailVerified,
    CreatedAt,
}

impl Field {
    /// The meaning of a name in a header or an object; `None` for what is not imported.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace(['-', ' '], "_");
        Some(match name.as_str() {
            "username" | "user" | "user_name" | "login" => Self::Username,
            "email" | "e_mail" | "mail" | "email_address" => Self::Email,
            "name" | "display_name" | "full_name" => Self::Name,
            "first_name" | "given_name" => Self::FirstName,
            "last_name" | "family_name" | "surname" => Self::LastName,
            "hash" | "password" | "password_hash" | "hashed_password" => Self::Hash,
            "groups" | "roles" => Self::Groups,
            "is_active" | "active" | "enabled" => Self::IsActive,
            "email_verified" | "verified" => Self::EmailVerified,
            "created_at" | "date_joined" => Self::CreatedAt,
            _ => return None,
        })
    }

    /// The name to call it by.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::Name => "name",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Hash => "password",
            Self::Groups => "groups",
            Self::IsActive => "is_active",
            Self::EmailVerified => "email_verified",
            Self::CreatedAt => "created_at",
        }
    }
}

impl Entry {
    /// An entry that is only there to be refused.
    pub(super) fn damaged(line: u64, reason: impl Into<String>) -> Self {
        Self { line, damage: Some(reason.into()), ..Self::default() }
    }

    /// Sets a field from its text; a list of groups is separated by commas, semicolons or bars.
    pub(super) fn set(&mut self, field: Field, text: String) {
        let place = match field {
            Field::Username => &mut self.username,
            Field::Email => &mut self.email,
            Field::Name => &mut self.name,
            Field::FirstName => &mut self.first_name,
            Field::LastName => &mut self.last_name,
            Field::Hash => &mut self.hash,
            Field::IsActive => &mut self.is_active,
            Field::EmailVerified => &mut self.email_verified,
            Field::CreatedAt => &mut self.created_at,
            Field::Groups => {
                let names = text.split([',', ';', '|']).map(str::trim);
                self.groups = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
                return;
            }
        };
        *place = Some(text).filter(|text| !text.trim().is_empty());
    }

    /// The name with everything escaped that could disturb a terminal.
    pub(super) fn printable_name(&self) -> Option<String> {
        let name = self.username.as_ref()?;
        let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        Some(shown.escape_debug().to_string())
    }

    /// Applies the rules. The reason of a refusal is in words for the operator.
    pub(super) fn into_user(self, origin: Origin<'_>) -> Result<ImportUser, String> {
        if let Some(damage) = self.damage {
            return Err(damage);
        }
        let username = self.username.as_deref().ok_or("it has no username")?;
        let username = Username::try_existing(username).map_err(|why| why.to_string())?;
        let email = self.email.as_deref().map(Email::try_new).transpose();
        let email = email.map_err(|why| why.to_string())?;
        let name = self.name.unwrap_or_else(|| {
            let parts = [self.first_name, self.last_name];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        let name = DisplayName::try_new(&name).map_err(|why| why.to_string())?;
        let groups = Groups::try_new(&self.groups).map_err(|why| why.to_string())?;
        let is_verified = flag(Field::EmailVerified, self.email_verified.as_deref())?;
        Ok(ImportUser {
            id: UserId::fresh(origin.entropy, origin.now),
            username,
            email_verified: is_verified.unwrap_or(false) && email.is_some(),
            email,
            name: name.into_string(),
            groups,
            hash: usable(self.hash)?,
            subject: None,
            enabled: flag(Field::IsActive, self.is_active.as_deref())?.unwrap_or(true),
            created_at: created_at(self.created_at.as_deref(), origin.now),
        })
    }
}

/// A hash that can be verified. Django marks accounts without a password by a `!`, others by `*`:
/// they come without a hash.
fn usable(hash: Option<String>) -> Result<Option<PasswordHash>, String> {
    let Some(hash) = hash.filter(|hash| !hash.trim_start().starts_with(['!', '*'])) else {
        return Ok(None);
    };
    let hash = PasswordHash::from_stored(hash.trim().to_owned());
    // Refused and not taken without its hash: a user who silently cannot log in helps nobody.
    check_stored(&hash).map_err(|why| format!("its password hash cannot be used: {why}"))?;
    Ok(Some(hash))
}

fn flag(field: Field, text: Option<&str>) -> Result<Option<bool>, String> {
    let Some(text) = text else { return Ok(None) };
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(Some(true)),
        "false" | "f" | "no" | "n" | "0" => Ok(Some(false)),
        _ => Err(format!("its {} is neither true nor false", field.as_str())),
    }
}

/// When the user was created there. A date that cannot be read is not worth refusing a user, and
/// none is taken from the future.
fn created_at(text: Option<&str>, now: Timestamp) -> Timestamp {
    let parsed = text.and_then(|text| OffsetDateTime::parse(text.trim(), &Rfc3339).ok());
    let micros = parsed.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1000).ok());
    micros.map_or(now, |micros| Timestamp::from_micros(micros).min(now))
}
