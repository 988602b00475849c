//! What people and operators do: a mixture that changes all the time, and now and then a few steps
//! in the order in which caches are known to lie.

use std::collections::VecDeque;
use std::time::Duration;

use crate::entropy::Rng;
use crate::history::{Action, Given, NodeId, OpId, Outcome, Pair, PasswordNo, Person};
use crate::world::World;

/// Of so many of the latest sessions one is taken, ended or not.
const LATEST: usize = 12;

/// Draws what is done next.
pub(crate) struct Workload {
    rng: Rng,
    people: Vec<Known>,
    /// Operations whose answers tell which password is right.
    watched: Vec<(OpId, Person)>,
    /// What has been decided already.
    script: VecDeque<Step>,
    /// A node that nobody asks for a while, and for how many steps.
    quiet: Option<(NodeId, usize)>,
    groups: u32,
}

/// What somebody believes of their own password.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    believed: PasswordNo,
    latest: PasswordNo,
    is_disabled: bool,
}

/// A step: who is asked for what, and how much time passes afterwards.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: NodeId,
    action: Action,
    pause: Duration,
}

impl Workload {
    pub(crate) fn new(rng: Rng, people: usize) -> Self {
        Self {
            rng,
            people: vec![Known::default(); people],
            watched: Vec::new(),
            script: VecDeque::new(),
            quiet: None,
            groups: 0,
        }
    }

    /// Takes one step; how long to wait for the next one.
    pub(crate) fn step(&mut self, world: &mut World) -> Duration {
        self.learn(world);
        let Some(step) = self.script.pop_front().or_else(|| self.draw(world)) else {
            return self.pause();
        };
        let next_op = OpId(world.recorder.history().ops.len());
        if let Action::Login { person, .. } | Action::LoginForTokens { person, .. } = step.action {
            self.watched.push((next_op, person));
        }
        if let Action::ChangePassword { session, .. } = step.action {
            let person = world.recorder.history().sessions[session.0].person;
            self.watched.push((next_op, person));
        }
        world.ask(step.node, step.action);
        step.pause
    }

    /// Every session is looked at on every node.
    pub(crate) fn look_around(world: &mut World) {
        let sessions = world.recorder.history().sessions.len();
        for node in world.living() {
            for number in 0..sessions {
                let session = Given(number);
                world.ask(node, Action::Check { session });
                let pair = world.recorder.history().latest_pair(session);
                if let Some(pair) = pair {
                    world.ask(node, Action::Verify { session, pair });
                }
            }
        }
    }

    fn learn(&mut self, world: &World) {
        let history = world.recorder.history();
        let people = &mut self.people;
        let rng = &mut self.rng;
        self.watched.retain(|(op, person)| {
            // A dead node was asked: there is no such operation, or it is somebody else's.
            let Some(op) = history.ops.get(op.0) else { return false };
            let known = &mut people[person.0];
            match (op.action, op.ended) {
                (Action::ChangePassword { new, .. }, Some((_, Outcome::LoggedIn(_)))) => {
                    known.believed = new;
                }
                // Changed by an answer that was lost, or changed back with the record.
                (
                    Action::Login { .. } | Action::LoginForTokens { .. },
                    Some((_, Outcome::Denied)),
                ) if !known.is_disabled => {
                    let passwords = usize::try_from(known.latest).unwrap_or(0) + 1;
                    known.believed = PasswordNo::try_from(rng.below(passwords)).unwrap_or(0);
                }
                (_, None) => return true,
                (_, Some(_)) => {}
            }
            false
        });
    }

    fn draw(&mut self, world: &World) -> Option<Step> {
        let node = self.node(world)?;
        let person = Person(self.rng.below(self.people.len()));
        let session = self.session(world);
        let Some(session) = session else {
            return Some(self.then(node, self.login(person, None)));
        };
        if world.has_tokens() && self.rng.permille(500) {
            return self.draw_of_program(world, (node, person));
        }
        let dice = self.rng.below(1000);
        let action = match dice {
            0..520 => Action::Check { session },
            520..640 => {
                let earlier = self.rng.permille(100).then_some(session);
                self.login(person, earlier.filter(|given| has_cookie(world, *given)))
            }
            640..680 => Action::Logout { session },
            680..705 => Action::Revoke { session },
            705..720 => Action::RevokeOthers { kept: session },
            720..735 => Action::RevokeAll { person },
            735..760 => self.change_password(world, session),
            760..775 => self.disable(person),
            775..790 => Action::SetGroup { person, group: self.next_group() },
            790..795 if world.ends_everything() => Action::RevokeEverything,
            790..820 => self.enable_somebody(person),
            820..910 => return self.stale_set(world, session),
            910..970 => return self.login_in_flight(world, person),
            970..980 => {
                self.quiet = Some((node, 5 + self.rng.below(40)));
                Action::Check { session }
            }
            _ => {
                // Somebody reads what was just changed, everywhere.
                let group = self.next_group();
                let person = world.recorder.history().sessions[session.0].person;
                let first = self.brief(node, Action::SetGroup { person, group });
                self.check_around(world, session, 4);
                return Some(first);
            }
        };
        Some(self.then(node, action))
    }

    /// What programs do, and who has stolen from them.
    fn draw_of_program(&mut self, world: &World, (node, person): (NodeId, Person)) -> Option<Step> {
        let password = self.people[person.0].believed;
        let login = Action::LoginForTokens { person, password };
        let Some((session, latest)) = self.program(world) else {
            return Some(self.then(node, login));
        };
        let any = self.pair_of(world, session).unwrap_or(latest);
        let action = match self.rng.below(1000) {
            0..400 => Action::Verify { session, pair: latest },
            400..480 => Action::Verify { session, pair: any },
            480..600 => Action::Check { session },
            600..680 => login,
            680..820 => Action::Refresh { session, pair: latest },
            820..828 => Action::Refresh { session, pair: any },
            828..830 => return self.refresh_late(world, (session, latest)),
            830..900 => return self.refresh_again(world, (session, latest)),
            900..960 => return self.refresh_in_flight(world, (session, latest)),
            _ => return self.stale_set(world, session),
        };
        Some(self.then(node, action))
    }

    /// The same token is exchanged several times: at once, or because the answer was lost.
    fn refresh_again(&mut self, world: &World, (session, pair): (Given, Pair)) -> Option<Step> {
        let node = self.node(world)?;
        let refresh = Action::Refresh { session, pair };
        let first = self.brief(node, refresh);
        for _ in 0..=self.rng.below(4) {
            let node = self.node(world)?;
            let again = if self.rng.permille(700) {
                self.brief(node, refresh)
            } else {
                self.then(node, refresh)
            };
            self.script.push_back(again);
        }
        Some(first)
    }

    /// The same token is exchanged once more, long afterwards, and nobody has gone on from there.
    fn refresh_late(&mut self, world: &World, (session, pair): (Given, Pair)) -> Option<Step> {
        let (node, other) = (self.node(world)?, self.node(world)?);
        let action = Action::Refresh { session, pair };
        let again = self.brief(other, action);
        self.script.push_back(again);
        Some(Step { node, action, pause: self.rng.millis(10_000, 50_000) })
    }

    /// A token is exchanged while its session ends.
    fn refresh_in_flight(&mut self, world: &World, (session, pair): (Given, Pair)) -> Option<Step> {
        let (node, other) = (self.node(world)?, self.node(world)?);
        let first = self.brief(node, Action::Refresh { session, pair });
        let person = world.recorder.history().sessions[session.0].person;
        let ends = match self.rng.below(4) {
            0 => self.disable(person),
            1 => Action::RevokeAll { person },
            2 => Action::Logout { session },
            _ => self.change_password(world, session),
        };
        let ends = self.brief(other, ends);
        self.script.push_back(ends);
        for _ in 0..3 {
            let node = self.node(world)?;
            let action = match self.rng.below(3) {
                0 => Action::Refresh { session, pair },
                _ => Action::Verify { session, pair },
            };
            let step = self.brief(node, action);
            self.script.push_back(step);
        }
        Some(first)
    }

    /// One of the latest sessions that have tokens, with its latest pair.
    fn program(&mut self, world: &World) -> Option<(Given, Pair)> {
        let history = world.recorder.history();
        let sessions = history.sessions.iter().enumerate().rev();
        let programs = sessions.filter(|(_, session)| session.cookie.is_none());
        let latest: Vec<Given> =
            programs.take(LATEST / 2).map(|(number, _)| Given(number)).collect();
        let session = self.rng.pick(&latest)?;
        Some((session, history.latest_pair(session)?))
    }

    /// Any of the pairs of a session.
    fn pair_of(&mut self, world: &World, session: Given) -> Option<Pair> {
        let history = world.recorder.history();
        let pairs = history.pairs.iter().enumerate();
        let own = pairs.filter(|(_, pair)| pair.session == session);
        let own: Vec<Pair> = own.map(|(number, _)| Pair(number)).collect();
        self.rng.pick(&own)
    }

    /// A reader loads a row, its session ends, and the reader keeps what it read.
    fn stale_set(&mut self, world: &World, session: Given) -> Option<Step> {
        let node = self.node(world)?;
        let first = self.brief(node, Action::Check { session });
        let ends = match self.rng.below(4) {
            0 => Action::Revoke { session },
            1 => Action::RevokeAll { person: world.recorder.history().sessions[session.0].person },
            _ => Action::Logout { session },
        };
        let where_it_ends = if self.rng.permille(600) { node } else { self.node(world)? };
        let ends = self.brief(where_it_ends, ends);
        self.script.push_back(ends);
        self.check_around(world, session, 5);
        Some(first)
    }

    /// Somebody logs in while the password changes, or while an operator disables the user.
    fn login_in_flight(&mut self, world: &World, person: Person) -> Option<Step> {
        let node = self.node(world)?;
        let first = self.brief(node, self.login(person, None));
        let other = self.node(world)?;
        let against = match self.rng.below(3) {
            0 => self.disable(person),
            1 => Action::RevokeAll { person },
            _ => {
                let own = self.session_of(world, person)?;
                self.change_password(world, own)
            }
        };
        let against = self.brief(other, against);
        self.script.push_back(against);
        if let Some(session) = self.session_of(world, person) {
            self.check_around(world, session, 2);
        }
        Some(first)
    }

    fn check_around(&mut self, world: &World, session: Given, times: usize) {
        for _ in 0..times {
            let Some(node) = self.node(world) else { return };
            let step = self.brief(node, Action::Check { session });
            self.script.push_back(step);
        }
    }

    fn login(&self, person: Person, earlier: Option<Given>) -> Action {
        Action::Login { person, password: self.people[person.0].believed, earlier }
    }

    fn change_password(&mut self, world: &World, session: Given) -> Action {
        let person = world.recorder.history().sessions[session.0].person;
        let known = &mut self.people[person.0];
        known.latest += 1;
        Action::ChangePassword { session, old: known.believed, new: known.latest }
    }

    fn disable(&mut self, person: Person) -> Action {
        self.people[person.0].is_disabled = true;
        Action::Disable { person }
    }

    fn enable_somebody(&mut self, person: Person) -> Action {
        let disabled = self.people.iter().position(|known| known.is_disabled);
        let person = disabled.map_or(person, Person);
        self.people[person.0].is_disabled = false;
        Action::Enable { person }
    }

    const fn next_group(&mut self) -> u32 {
        self.groups += 1;
        self.groups
    }

    fn node(&mut self, world: &World) -> Option<NodeId> {
        let mut living = world.living();
        if let Some((quiet, steps)) = self.quiet {
            self.quiet = steps.checked_sub(1).map(|left| (quiet, left));
            living.retain(|node| *node != quiet);
        }
        self.rng.pick(&living)
    }

    fn session(&mut self, world: &World) -> Option<Given> {
        let given = world.recorder.history().sessions.len();
        let back = if self.rng.permille(100) { given } else { given.min(LATEST) };
        (given > 0).then(|| Given(given - 1 - self.rng.below(back)))
    }

    /// The latest of a person's sessions, or one of those before.
    fn session_of(&mut self, world: &World, person: Person) -> Option<Given> {
        let history = world.recorder.history();
        let sessions = history.sessions.iter().enumerate().rev();
        let own = sessions.filter(|(_, session)| session.person == person);
        let own: Vec<Given> = own.take(3).map(|(number, _)| Given(number)).collect();
        self.rng.pick(&own)
    }

    fn then(&mut self, node: NodeId, action: Action) -> Step {
        Step { node, action, pause: self.pause() }
    }

    fn brief(&mut self, node: NodeId, action: Action) -> Step {
        Step { node, action, pause: self.rng.millis(0, 12) }
    }

    fn pause(&mut self) -> Duration {
        match self.rng.below(1000) {
            0..400 => self.rng.millis(0, 2),
            400..750 => self.rng.millis(2, 60),
            750..930 => self.rng.millis(60, 600),
            930..990 => self.rng.millis(600, 3000),
            _ => self.rng.millis(3000, 12_000),
        }
    }
}

fn has_cookie(world: &World, session: Given) -> bool {
    world.recorder.history().sessions[session.0].cookie.is_some()
}
