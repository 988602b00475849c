//! The port to users whom another service knows, and whom the record mirrors.

use super::StoreResult;
use crate::{Deadline, Email, Groups, Subject, User, UserId, Username, Written};

/// By what somebody may be in the record already.
#[derive(Clone, Debug)]
pub struct MirrorKeys {
    /// The id at the other service.
    pub subject: Subject,
    /// The name.
    pub username: Username,
    /// The e-mail, if any.
    pub email: Option<Email>,
}

/// A user who has one of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorFound {
    /// The user, whether enabled or not.
    pub user: User,
    /// Whose mirror it is, if anybody's.
    pub subject: Option<Subject>,
    /// Whether a password is stored.
    pub has_password: bool,
}

/// What the other service says of a user.
#[derive(Clone, Debug)]
pub struct MirrorUpdate {
    /// Which user.
    pub id: UserId,
    /// Whose mirror it is from now on.
    pub subject: Subject,
    /// The name.
    pub username: Username,
    /// The e-mail, if any.
    pub email: Option<Email>,
    /// Whether the e-mail is known to be this person's.
    pub email_verified: bool,
    /// The name to show.
    pub name: String,
    /// Groups.
    pub groups: Groups,
}

/// Mirrored users.
pub trait MirrorStore: Send + Sync {
    /// Who has this subject, this folded name, or this folded e-mail: three users at most.
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>>;

    /// Writes what is said of a user, and tells copies to be read again. `None`: there is no such user
    /// without a password and another subject, or somebody else has the name, the e-mail or the subject.
    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;
}
