//! The suite that every record must pass.
//!
//! SQLite, PostgreSQL and the in-memory reference differ in everything but what they promise. The
//! promises are written once, here, as cases over the ports alone; a record is done when its test
//! file says `contract_tests!(make_subject)` and all of them pass. Embedders who write a record of
//! their own use the same line.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use nightlatch_store::contract::{Subject, contract_tests};
//! use nightlatch_store::memory::MemoryRecord;
//! # use nightlatch_core::{Clock, Entropy};
//! # fn clocks() -> (Arc<dyn Clock>, Arc<dyn Entropy>) { unreachable!() }
//!
//! async fn fresh() -> Subject {
//!     let (clock, entropy) = clocks();
//!     let record = Arc::new(MemoryRecord::new(clock.clone(), entropy.clone()));
//!     Subject::new(record, clock, entropy)
//! }
//!
//! contract_tests!(fresh);
//! # fn main() {}
//! ```

pub mod audit;
pub mod data;
pub mod feed;
mod fixture;
pub mod mirror;
pub mod node;
pub mod password;
pub mod race;
pub mod revocation;
pub mod session;
pub mod throttle;
pub mod token;
pub mod upkeep;
pub mod user;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{BoxFuture, Clock, Entropy, FeedRow, Record};

#[doc(inline)]
pub use crate::contract_tests;

/// A fresh record with what the suite needs besides it. Nothing was stored in it yet; the suite
/// brings its schema up itself.
pub struct Subject {
    record: Arc<dyn Record>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    feed: Option<FeedReader>,
    second_node: Option<NodeOpener>,
    heartbeats: Option<HeartbeatShifter>,
    guards: Vec<Box<dyn Any + Send + Sync>>,
}

type FeedReader = Box<dyn Fn() -> BoxFuture<'static, Vec<FeedRow>> + Send + Sync + 'static>;
type HeartbeatShifter = Box<dyn Fn(Shift) -> BoxFuture<'static, ()> + Send + Sync + 'static>;
type NodeOpener = Box<dyn Fn() -> BoxFuture<'static, Arc<dyn Record>> + Send + Sync + 'static>;

impl Subject {
    /// `clock` must be the one by which the record judges deadlines.
    #[must_use]
    pub fn new(record: Arc<dyn Record>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            record,
            clock,
            entropy,
            feed: None,
            second_node: None,
            heartbeats: None,
            guards: Vec::new(),
        }
    }

    /// How to read all rows of the feed past the record, in order of position. Without it the suite
    /// takes the record's own word for them.
    #[must_use]
    pub fn with_feed(
        mut self,
        read: impl Fn() -> BoxFuture<'static, Vec<FeedRow>> + Send + Sync + 'static,
    ) -> Self {
        self.feed = Some(Box::new(read));
        self
    }

    /// How another node opens the same record. Without it the second node is the first.
    #[must_use]
    pub fn with_second_node(
        mut self,
        open: impl Fn() -> BoxFuture<'static, Arc<dyn Record>> + Send + Sync + 'static,
    ) -> Self {
        self.second_node = Some(Box::new(open));
        self
    }

    /// How to change when the heartbeats so far were, all of them alike, and when service time was
    /// carried on last. Without it nothing that takes time is asked of them.
    #[must_use]
    pub fn with_shifted_heartbeats(
        mut self,
        shift: impl Fn(Shift) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        self.heartbeats = Some(Box::new(shift));
        self
    }

    /// Keeps something, such as a temporary folder, until the case has ended.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guards.push(Box::new(guard));
        self
    }
}

/// A step of all heartbeats in time.
#[derive(Clone, Copy, Debug)]
pub enum Shift {
    /// As if so much time had passed since.
    Older(Duration),
    /// As if the record's clock had been set back since.
    Younger(Duration),
}

impl Shift {
    /// What to add to microseconds.
    #[must_use]
    pub fn micros(self) -> i64 {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match self {
            Self::Older(span) => -micros(span),
            Self::Younger(span) => micros(span),
        }
    }
}

/// One `#[tokio::test]` for each case of the suite, over the records that `$make` (an
/// `async fn() -> Subject`) gives.
#[macro_export]
macro_rules! contract_tests {
    ($make:path) => {
        $crate::contract_tests!(@cases $make;
            audit: a_login_and_the_session_that_it_replaces_are_told;
            audit: a_refused_login_is_not_told_as_one;
            audit: the_end_of_a_session_is_told_once_and_by_what_it_was;
            audit: the_end_of_many_sessions_is_one_entry_with_their_number;
            audit: a_refresh_token_that_is_used_twice_is_told;
            audit: what_operators_do_with_users_is_told;
            audit: of_imported_users_those_are_told_who_are_new;
            audit: a_new_signing_key_is_told;
            audit: failed_tries_are_told_with_what_is_known_of_them;
            audit: the_audit_log_is_read_in_pages_and_by_what_is_asked_for;
            audit: a_sweep_removes_old_entries_and_never_gives_a_place_again;
            audit: kinds_of_hashes_are_not_told;
            user: a_created_user_is_found_by_name_email_and_id;
            user: names_and_emails_are_taken_in_their_folded_form;
            user: of_many_who_want_one_name_one_gets_it;
            user: users_at_every_limit_come_back_as_they_were;
            user: users_are_listed_by_folded_name_in_pages;
            user: groups_and_verified_emails_are_told_to_copies;
            user: deleted_users_are_gone_with_their_sessions;
            user: disabling_ends_sessions_and_enabling_does_not_revive_them;
            user: importing_twice_changes_nothing;
            user: imports_tell_each_conflict_in_order;
            password: a_hash_is_upgraded_only_if_it_still_is_the_old_one;
            password: each_kind_of_hash_is_listed_once;
            password: a_password_change_ends_all_sessions_but_the_next;
            password: a_password_change_is_refused_when_the_generation_moved;
            password: operators_change_passwords_whoever_may_log_in;
            session: a_login_is_found_by_its_token;
            session: a_login_of_another_generation_is_refused_and_replaces_nothing;
            session: a_login_ends_the_session_that_it_replaces;
            session: the_prefix_of_a_login_stays_known_for_thirty_days;
            session: sessions_are_listed_newest_first;
            session: everybodys_sessions_are_listed_in_pages;
            session: a_touch_moves_only_forward;
            session: a_touch_never_revives;
            session: an_address_comes_back_as_it_was;
            revocation: a_revoked_session_stays_dead;
            revocation: a_logout_by_token_ends_its_session_alone;
            revocation: revoking_what_never_was_still_writes_the_feed;
            revocation: a_session_ends_by_its_token;
            revocation: nobody_ends_somebody_elses_session;
            revocation: all_others_end_but_the_kept_one;
            revocation: logging_out_everywhere_raises_the_generation;
            revocation: everything_ends_for_everybody;
            revocation: a_found_session_carries_the_head_of_the_feed;
            revocation: another_node_knows_at_once;
            feed: a_poll_gives_the_rows_above_a_position_oldest_first;
            feed: a_poll_says_that_there_is_nothing_new;
            feed: a_poll_without_a_position_gives_the_head_alone;
            feed: a_poll_from_above_the_head_finds_nothing_there;
            feed: a_poll_from_what_was_pruned_finds_the_row_gone;
            feed: every_kind_is_read_as_it_was_written;
            feed: a_change_by_another_node_wakes_who_waits_for_one;
            feed: the_first_claim_of_an_epoch_wins;
            feed: of_many_who_claim_at_once_all_hear_of_one;
            feed: lost_ends_of_sessions_are_written_back;
            feed: a_lost_end_of_everything_is_written_back;
            feed: a_lost_generation_is_raised_to_and_never_lowered;
            feed: a_lost_disabling_is_written_back;
            feed: a_lost_disabling_ends_later_sessions_too;
            feed: a_lost_enabling_is_written_back;
            feed: many_lost_revocations_are_written_back_at_once;
            token: a_refresh_token_is_exchanged_once_and_told_again;
            token: an_exchange_is_a_use;
            token: a_refresh_token_that_was_exchanged_before_ends_its_session;
            token: the_grace_runs_in_service_time;
            token: an_exchange_that_arrives_late_ends_nothing;
            token: only_who_may_log_in_refreshes;
            token: what_anybody_may_have_invented_ends_nothing;
            token: a_node_without_the_key_ends_nothing;
            token: a_token_that_follows_from_what_the_record_knows_is_good;
            token: of_many_who_present_one_token_all_are_told_one_successor;
            token: a_refresh_never_survives_a_logout;
            token: the_first_signing_key_of_a_number_is_kept;
            data: an_applications_session_is_found_as_it_was_created;
            data: no_two_applications_sessions_have_one_token;
            data: a_save_replaces_all_and_has_copies_read_again;
            data: a_save_never_revives_an_applications_session;
            data: the_end_of_everything_ends_applications_sessions_too;
            data: lost_ends_of_applications_sessions_are_written_back;
            data: ended_and_expired_applications_sessions_are_swept;
            data: of_many_saves_at_once_one_is_the_last_for_everybody;
            data: a_save_at_once_with_a_delete_never_outlives_it;
            data: an_applications_session_is_nobodys;
            mirror: a_mirrored_user_is_found_by_subject_name_and_email;
            mirror: what_is_said_of_a_mirrored_user_is_written_and_told;
            mirror: nobody_with_a_password_becomes_a_mirror;
            mirror: no_mirror_gets_a_password;
            mirror: what_is_somebody_elses_is_not_taken_over;
            mirror: of_many_who_mirror_one_person_one_does;
            mirror: of_many_who_are_given_one_name_one_gets_it;
            mirror: who_is_due_is_asked_about_once;
            mirror: nodes_share_whom_they_ask_about;
            race: a_login_at_the_old_generation_never_survives_a_password_change;
            race: a_login_never_survives_a_disabling;
            race: a_login_never_survives_the_end_of_everything;
            race: of_two_password_changes_at_one_generation_one_wins;
            race: two_hundred_logins_of_one_user_all_succeed;
            race: each_who_revokes_at_once_is_told_its_own_rows;
            race: revocations_at_once_get_positions_without_gaps;
            race: a_shared_secret_is_one_for_all;
            race: nodes_that_migrate_at_once_do_not_disturb_each_other;
            node: nodes_see_each_other_until_one_leaves;
            node: a_node_that_falls_silent_lives_for_thirty_seconds_and_is_remembered;
            node: service_time_runs_with_heartbeats_and_stands_still_without;
            node: a_clock_that_goes_back_neither_stops_service_time_nor_keeps_anybody_alive;
            node: nodes_that_are_long_gone_are_swept;
            throttle: a_node_hears_of_the_others_failures_and_not_of_its_own;
            throttle: news_come_in_pieces_without_loss;
            throttle: what_is_loaded_at_start_is_not_heard_again;
            throttle: a_place_beyond_the_end_leads_back_to_it;
            throttle: a_sweep_uses_no_place_twice;
            throttle: who_asks_for_news_is_told_how_many_live;
            throttle: nothing_is_missed_or_heard_twice_while_many_append;
            upkeep: migrating_twice_applies_nothing_the_second_time;
            upkeep: a_sweep_keeps_what_lives_and_the_newest_feed_row;
            upkeep: a_sweep_is_bounded;
            upkeep: a_sweep_removes_failures_before_its_time;
            upkeep: the_newest_failures_are_listed_oldest_first;
            upkeep: shared_secrets_are_told_apart_by_name;
            upkeep: a_deadline_that_is_over_changes_nothing;
            upkeep: empty_batches_are_no_error;
        );
    };
    (@cases $make:path; $($file:ident: $case:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                $crate::contract::$file::$case($make().await).await;
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("contract.rs");
        let files = [
            include_str!("contract/data.rs"),
            include_str!("contract/feed.rs"),
            include_str!("contract/node.rs"),
            include_str!("contract/password.rs"),
            include_str!("contract/race.rs"),
            include_str!("contract/revocation.rs"),
            include_str!("contract/session.rs"),
            include_str!("contract/throttle.rs"),
            include_str!("contract/upkeep.rs"),
            include_str!("contract/user.rs"),
        ];
        for file in files {
            for line in file.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let case = line.split('(').next().expect("split gives one part at least");
                assert!(list.contains(&format!(": {case};")), "{case} runs nowhere");
            }
        }
    }
}
