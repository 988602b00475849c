//! The port to users whom another service knows, and whom the record mirrors.

use std::time::Duration;

use super::StoreResult;
use crate::{Deadline, Email, Groups, Subject, Timestamp, User, UserId, Username, Written};

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

/// A user whom the other service may be asked about again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// Its id here.
    pub id: UserId,
    /// Its id there.
    pub subject: Subject,
    /// Its name here.
    pub username: Username,
}

/// Which mirrored users to look at: a page of them, by their id there.
#[derive(Clone, Debug)]
pub struct StandingQuery {
    /// Those after this one; `None`: from the first.
    pub after: Option<Subject>,
    /// Who was asked about since then, or has logged in, is not due.
    pub asked_before: Timestamp,
    /// Whose sessions are over is not due, either. What is noted for later than this is wrong.
    pub now: Timestamp,
    /// How late the record may hear of a use.
    pub noted_within: Duration,
    /// Users that are looked at, due or not.
    pub limit: u32,
}

/// What a page of mirrored users holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingPage {
    /// Those with a live session that was used since they were last asked about, and no new one.
    pub due: Vec<Mirrored>,
    /// The last one that was looked at; `None`: there are no more.
    pub next: Option<Subject>,
}

/// Who is asked about.
#[derive(Clone, Debug)]
pub struct StandingNote {
    /// These users.
    pub ids: Vec<UserId>,
    /// But not who was asked about since then.
    pub asked_before: Timestamp,
    /// What is noted for later than this is wrong.
    pub now: Timestamp,
    /// When they were asked about, from now on.
    pub asked_at: Timestamp,
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

    /// A page of enabled users who are somebody's mirror, and which of them are due.
    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage>;

    /// Notes when users were asked about, and says of whom: two nodes that note the same ones at once
    /// share them.
    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>>;
}
