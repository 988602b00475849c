//! How each rule is broken: a text of the shipped sources, and what stands there in the copies.
//!
//! The copies hold all patches; which of them is in force is asked while they run. So one build
//! shows for every rule that the promises need it.

/// A text of a copied source and its replacement.
pub(crate) struct Patch {
    /// The mutants that it makes.
    pub(crate) mutants: &'static str,
    /// In which copy.
    pub(crate) file: &'static str,
    /// Stands there exactly once.
    pub(crate) original: &'static str,
    /// Does the same while no mutant is chosen.
    pub(crate) patched: &'static str,
}

/// All patches, by file.
pub(crate) const PATCHES: &[Patch] = &[
    Patch {
        mutants: "view_skipped",
        file: "coherence.rs",
        original: "if self.names.revoke(copy) {",
        patched: "if !crate::mutant::breaks(\"view_skipped\") && self.names.revoke(copy) {",
    },
    Patch {
        mutants: "load_not_judged",
        file: "coherence.rs",
        original: "if self.names.revoke(found) {",
        patched: "if crate::mutant::breaks(\"load_not_judged\") {
            return Verdict::Believed;
        }
        if self.names.revoke(found) {",
    },
    Patch {
        mutants: "lease_ignored",
        file: "coherence.rs",
        original: "match (age <= LEASE, ",
        patched: "match (age <= LEASE || crate::mutant::breaks(\"lease_ignored\"), ",
    },
    Patch {
        mutants: "staleness_ignored",
        file: "coherence.rs",
        original: "if age <= self.limits.staleness =>",
        patched: "if age <= self.limits.staleness
                || crate::mutant::breaks(\"staleness_ignored\") =>",
    },
    Patch {
        mutants: "fork_forgets",
        file: "coherence/fork.rs",
        original: "let said = self.names.leave_history();",
        patched: "let said = self.names.leave_history();
        if crate::mutant::breaks(\"fork_forgets\") {
            self.names = super::names::Names::default();
        }",
    },
    Patch {
        mutants: "lost_not_written_back",
        file: "coherence.rs",
        original: "self.lost.add(comparison.lost());",
        patched: "if !crate::mutant::breaks(\"lost_not_written_back\") {
                self.lost.add(comparison.lost());
            }",
    },
    Patch {
        mutants: "kept_written_back",
        file: "coherence/fork.rs",
        original: "if self.has_kept(said.position) {",
        patched: "if self.has_kept(said.position) && !crate::mutant::breaks(\"kept_written_back\") {",
    },
    Patch {
        mutants: "fork_unseen",
        file: "coherence.rs",
        original: "let followed = view.follow(news, began, now, &mut self.names);",
        patched: "let followed = match view.follow(news, began, now, &mut self.names) {
            Followed::Forked | Followed::OtherHistory if crate::mutant::breaks(\"fork_unseen\") => {
                Followed::Behind
            }
            followed => followed,
        };",
    },
    Patch {
        mutants: "as_of_ignored",
        file: "coherence/names.rs",
        original: "reread.is_some_and(|reread| position < reread)",
        patched: "reread.is_some_and(|reread| {
            position < reread && !crate::mutant::breaks(\"as_of_ignored\")
        })",
    },
    Patch {
        mutants: "generation_ignored",
        file: "coherence/names.rs",
        original: "copy.generation < below.value",
        patched: "copy.generation < below.value && !crate::mutant::breaks(\"generation_ignored\")",
    },
    Patch {
        mutants: "no_fence, epoch_ignored",
        file: "coherence/view.rs",
        original: "if copy.history != self.history || position < self.since {",
        patched: "if (copy.history != self.history && !crate::mutant::breaks(\"epoch_ignored\"))
            || (position < self.since && !crate::mutant::breaks(\"no_fence\"))
        {",
    },
    Patch {
        mutants: "epoch_ignored",
        file: "coherence/view.rs",
        original: "!self.is_contradicted_by(copy.as_of)",
        patched: "crate::mutant::breaks(\"epoch_ignored\") || !self.is_contradicted_by(copy.as_of)",
    },
    Patch {
        mutants: "epoch_ignored",
        file: "cached/tail.rs",
        original: "if learned.is_some_and(|learned| learned.copies_are_void) {",
        patched: "if learned.is_some_and(|learned| learned.copies_are_void)
            && !crate::mutant::breaks(\"epoch_ignored\") {",
    },
    Patch {
        mutants: "wrote_ignored",
        file: "cached.rs",
        original: "self.rule_mut().wrote(rows, now);",
        patched: "if !crate::mutant::breaks(\"wrote_ignored\") {
                self.rule_mut().wrote(rows, now);
            }",
    },
    Patch {
        mutants: "position_after_row",
        file: "memory/session.rs",
        original: "self.run(\"finding a session\", deadline, move |state| {",
        patched: "if crate::mutant::breaks(\"position_after_row\") {
            return Box::pin(async move {
                let row = self.run(\"finding a session\", deadline, move |state| {
                    state.found(*state.tokens.get(token.as_bytes())?)
                });
                let Some(mut found) = row.await? else { return Ok(None) };
                crate::mutant::others_come_in_between().await;
                let head = self.run(\"finding the head\", deadline, |state| state.head()).await?;
                found.as_of = head.newest;
                Ok(Some(Arc::new(found)))
            });
        }
        self.run(\"finding a session\", deadline, move |state| {",
    },
    Patch {
        mutants: "positions_before_commit",
        file: "memory/session.rs",
        original: "self.run(\"ending sessions\", deadline, move |state| state.end_by(which, now, &by))",
        patched: "if crate::mutant::breaks(\"positions_before_commit\") {
            return Box::pin(async move {
                let taken = self.run(\"taking a position\", deadline, |state| {
                    crate::mutant::take_position(state.head().newest.position)
                });
                let taken = taken.await?;
                crate::mutant::others_come_in_between().await;
                let end = move |state: &mut State| {
                    crate::mutant::use_position(taken);
                    state.end_by(which, now, &by)
                };
                self.run(\"ending sessions\", deadline, end).await
            });
        }
        self.run(\"ending sessions\", deadline, move |state| state.end_by(which, now, &by))",
    },
    Patch {
        mutants: "positions_before_commit",
        file: "memory/feed.rs",
        original: "let position = Position(newest.0 + 1);",
        patched: "let position = crate::mutant::position_after(newest);",
    },
    Patch {
        mutants: "upserting_touch",
        file: "memory/session.rs",
        original: "if row.ended_at.is_none() && at < row.session.expires_at {",
        patched: "if crate::mutant::breaks(\"upserting_touch\") {
                    row.ended_at = None;
                }
                if row.ended_at.is_none() && at < row.session.expires_at {",
    },
    Patch {
        mutants: "login_at_any_generation",
        file: "memory/session.rs",
        original: "let generation = new.generation;",
        patched: "let generation = if crate::mutant::breaks(\"login_at_any_generation\") {
            self.users.get(&user_id)?.user.generation
        } else {
            new.generation
        };",
    },
    Patch {
        mutants: "announcement_unheard",
        file: "cached/news.rs",
        original: "let announced = self.rule_mut().announced(*history, rows, self.now());",
        patched: "if crate::mutant::breaks(\"announcement_unheard\") {
                    return None;
                }
                let announced = self.rule_mut().announced(*history, rows, self.now());",
    },
    Patch {
        mutants: "announcement_confirms",
        file: "coherence/announced.rs",
        original: "match &self.phase {
            Phase::Following(view) if",
        patched: "if let Phase::Following(view) = &mut self.phase
            && crate::mutant::breaks(\"announcement_confirms\")
        {
            view.confirm_by(view.through(), now);
        }
        match &self.phase {
            Phase::Following(view) if",
    },
    Patch {
        mutants: "carried_not_judged",
        file: "cached/token.rs",
        original: "let verdict = self.judge_stamp(&stamp);",
        patched: "let verdict = if crate::mutant::breaks(\"carried_not_judged\") {
            Verdict::Believed
        } else {
            self.judge_stamp(&stamp)
        };",
    },
    Patch {
        mutants: "untold_ignored",
        file: "cached/token.rs",
        original: "_ if self.untold.names(",
        patched: "_ if !crate::mutant::breaks(\"untold_ignored\") && self.untold.names(",
    },
    Patch {
        mutants: "exchange_not_judged",
        file: "cached/token.rs",
        original: "match self.judge_answer(found, began) {",
        patched: "let judged = self.judge_answer(found, began);
            let is_broken = crate::mutant::breaks(\"exchange_not_judged\");
            match if is_broken { Verdict::Believed } else { judged } {",
    },
    Patch {
        mutants: "reuse_ignored, lost_answer_is_reuse, late_is_reuse, superseded_is_good, grace_in_record_time, grace_never_ends",
        file: "memory/token.rs",
        original: "let key = match rotation.judge(&refresh.known, service_time, self.now()) {",
        patched: "let is_broken = crate::mutant::breaks;
        let service_time = if is_broken(\"grace_in_record_time\") {
            self.now().since(Timestamp::EPOCH)
        } else {
            service_time
        };
        let judged = match rotation.judge(&refresh.known, service_time, self.now()) {
            Exchange::Reuse if is_broken(\"reuse_ignored\") => Exchange::None,
            Exchange::Reuse if is_broken(\"superseded_is_good\") => Exchange::First,
            Exchange::Reuse
                if is_broken(\"grace_never_ends\")
                    && refresh.known.previous == Some(rotation.presented) => Exchange::Again,
            Exchange::Again if is_broken(\"lost_answer_is_reuse\") => Exchange::Reuse,
            Exchange::Late if is_broken(\"late_is_reuse\") => Exchange::Reuse,
            judged => judged,
        };
        let key = match judged {",
    },
    Patch {
        mutants: "exchange_of_the_ended",
        file: "memory/token.rs",
        original: ".filter(|row| self.lives(row))?;
        let refresh",
        patched:
            ".filter(|row| crate::mutant::breaks(\"exchange_of_the_ended\") || self.lives(row))?;
        let refresh",
    },
    Patch {
        mutants: "exchange_of_the_ended",
        file: "memory/session.rs",
        original: "let row = self.sessions.get(&id).filter(|row| self.lives(row))?;
        let head",
        patched: "let row = self.sessions.get(&id).filter(|row| {
            self.lives(row)
                || (row.refresh.is_some() && crate::mutant::breaks(\"exchange_of_the_ended\"))
        })?;
        let head",
    },
];
