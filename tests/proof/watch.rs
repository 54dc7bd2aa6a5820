//! One watch of one history: what polls bring, as the poll loop would make them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pipecat_rollout::fuzzing::rollout::{
    Baseline, Event, Failure, FailureClass, Limits, Machine, Next, Observation, Outcome, Policy,
    Route, Step, TargetRule,
};
use pipecat_rollout::fuzzing::wire::AgentDetails;

use crate::world::{BASELINE, Before, Dates, Fate, Ms, Naming, World, date, rising};

/// What happens to the agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Our deploy.
    Deploy(Fate),
    /// Somebody else's.
    Colleague(Fate),
    /// Back to the deployment from before.
    RollBack(Fate),
    Delete,
}

/// How the target is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The id of our deployment.
    Named,
    /// The baseline with its creation time, or only its id.
    NewerThan {
        dated: bool,
    },
    /// A deploy command that ends after this long, with this code; `acts` begin when it starts.
    Command {
        ends: Ms,
        code: u8,
    },
    FirstSeen,
}

/// What is between the agent and the watch for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disturbance {
    pub(crate) from: Ms,
    pub(crate) lasts: Ms,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failing(FailureClass),
    /// 404.
    Absent,
    /// One replica shows what was true so long ago.
    Lag(Ms),
    /// Polls follow each other at once.
    Burst,
}

/// All that decides how a watch goes.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) before: Before,
    pub(crate) dates: Dates,
    /// Whether answers carry the server's time.
    pub(crate) date_header: bool,
    /// When a colleague has deployed before the watch, and the fate of that.
    pub(crate) earlier: Option<(Ms, Fate)>,
    pub(crate) aim: Aim,
    /// When `acts` begin, where no command does it.
    pub(crate) begins: Ms,
    pub(crate) acts: Vec<(Ms, Act)>,
    pub(crate) disturbances: Vec<Disturbance>,
    /// At least two; the first one lags.
    pub(crate) replicas: usize,
    pub(crate) limits: Limits,
    pub(crate) jitter: u64,
}

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The state of this number.
    State(usize),
    Absent,
    Failed(FailureClass),
}

/// What the machine is given.
#[derive(Debug, Clone, Copy)]
enum Input {
    Poll(Seen),
    CommandStarts,
    CommandEnds(u8),
    Timer,
}

/// A watch from its first poll to its verdict.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) world: World,
    inputs: Vec<(Ms, Input)>,
    pub(crate) polls: Vec<(Ms, Seen)>,
    pub(crate) command_began: Option<Ms>,
    pub(crate) command_ended: Option<Ms>,
    /// When the machine would have ended it, at the latest.
    pub(crate) deadline: Option<Ms>,
    pub(crate) ended: Ms,
    pub(crate) outcome: Outcome,
    pub(crate) events: Vec<Event>,
}

impl Script {
    /// The number of our deployment: the one of the first deploy of our own.
    pub(crate) fn ours(&self) -> usize {
        let made = self
            .acts
            .iter()
            .filter(|(_, act)| matches!(act, Act::Deploy(_) | Act::Colleague(_)));
        let before = made
            .take_while(|(_, act)| !matches!(act, Act::Deploy(_)))
            .count();
        BASELINE + 1 + usize::from(self.earlier.is_some()) + before
    }

    pub(crate) fn policy(&self, name: Naming) -> Policy {
        let baseline = |dated| Baseline {
            noted_at: None,
            deployment_id: (self.before != Before::Nothing).then(|| name(BASELINE).to_lowercase()),
            created_at: (dated && self.before != Before::Nothing).then(|| date(-300_000)),
        };
        let rule = match self.aim {
            Aim::Named => TargetRule::Deployment(name(self.ours()).to_lowercase()),
            Aim::NewerThan { dated } => TargetRule::NewerThan(baseline(dated)),
            Aim::Command { .. } => TargetRule::Deploy,
            Aim::FirstSeen => TargetRule::FirstSeen,
        };
        Policy::new(rule, self.limits.clone()).unwrap()
    }

    fn act(&self, world: &mut World, began: Ms) {
        for (after, act) in &self.acts {
            let at = began + after;
            match *act {
                Act::Deploy(fate) | Act::Colleague(fate) => {
                    world.deploy(at, fate);
                }
                // There is nothing to go back to where there was nothing.
                Act::RollBack(_) if self.before == Before::Nothing => {}
                Act::RollBack(fate) => world.roll_back(at, BASELINE, fate),
                Act::Delete => world.delete(at),
            }
        }
    }

    fn active(&self, at: Ms) -> impl Iterator<Item = Kind> {
        let active = move |d: &&Disturbance| (d.from..d.from + d.lasts).contains(&at);
        self.disturbances
            .iter()
            .filter(active)
            .map(|disturbance| disturbance.kind)
    }

    fn poll(&self, world: &World, at: Ms, replica: usize) -> Seen {
        let mut shown = at;
        for kind in self.active(at) {
            match kind {
                Kind::Failing(class) => return Seen::Failed(class),
                Kind::Absent => return Seen::Absent,
                Kind::Lag(by) if replica == 0 => shown = at - by,
                Kind::Lag(_) | Kind::Burst => {}
            }
        }
        let state = world.at(shown);
        if world.states[state].exists {
            Seen::State(state)
        } else {
            Seen::Absent
        }
    }

    /// Watches this until it ends.
    pub(crate) fn watch(&self) -> Watched {
        let mut world = World::new(self.before, self.dates);
        if let Some((at, fate)) = self.earlier {
            world.deploy(at, fate);
        }
        if !matches!(self.aim, Aim::Command { .. }) {
            self.act(&mut world, self.begins);
        }
        let mut machine = Machine::new(self.policy(rising));
        let mut next = machine.first_poll();
        let (mut inputs, mut polls, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let (mut command_began, mut command_ends, mut command_ended) = (None, None, None);
        let mut random = random_of(self.jitter);
        let (mut replica, mut failed) = (0, 0_u32);
        // What comes next: a poll, or what comes before it.
        let (mut at, mut poll_at, mut input) = (0, 0, None);
        let outcome = loop {
            let given = input.take().unwrap_or_else(|| {
                if next.route == Route::Fresh || random() < 0.05 {
                    replica = (replica + 1) % self.replicas;
                }
                let seen = self.poll(&world, at, replica);
                failed = if matches!(seen, Seen::Failed(_)) {
                    failed + 1
                } else {
                    0
                };
                poll_at = at + self.pause(at, seen, failed, &mut random);
                polls.push((at, seen));
                Input::Poll(seen)
            });
            inputs.push((at, given));
            let details = |state| world.details(state);
            if let Some(step) = self.give(&mut machine, at, given, details) {
                events.extend(step.events);
                match step.next {
                    Next::Done(outcome) => break *outcome,
                    Next::Poll(planned) => next = planned,
                }
            }
            let noted = |event: &Event| matches!(event, Event::BaselineNoted { .. });
            let asked = matches!(
                polls.last(),
                Some((
                    _,
                    Seen::Failed(FailureClass::Transient {
                        retry_after: Some(_)
                    })
                ))
            );
            let wakes = millis(next.no_later_than).max(at + 1);
            let due = if asked { poll_at } else { poll_at.min(wakes) };
            let deadline = next.deadline.map_or(Ms::MAX, millis);
            let due = due.min(deadline).max(at + 1);
            match self.aim {
                Aim::Command { ends, .. }
                    if command_began.is_none() && events.iter().any(noted) =>
                {
                    at += 1;
                    input = Some(Input::CommandStarts);
                    command_began = Some(at);
                    command_ends = Some(at + ends);
                    self.act(&mut world, at + 1);
                }
                Aim::Command { code, .. } if command_ends.is_some_and(|end| end <= due) => {
                    at = command_ends.take().unwrap_or(at).max(at);
                    command_ended = Some(at);
                    input = Some(Input::CommandEnds(code));
                }
                _ if wakes < due => {
                    at = wakes;
                    input = Some(Input::Timer);
                }
                _ => at = due,
            }
            assert!(
                at < 500_000,
                "it does not end: {:?}\n{events:#?}",
                &polls[..20]
            );
        };
        // An ending stays what it is, whatever comes.
        for input in [Input::Poll(Seen::Absent), inputs[0].1, Input::Timer] {
            let step = self.give(&mut machine, at + 1000, input, |state| world.details(state));
            let step = step.unwrap();
            assert!(step.events.is_empty());
            assert!(matches!(step.next, Next::Done(again) if *again == outcome));
        }
        let deadline = next.deadline.map(millis);
        let ended = at;
        Watched {
            world,
            inputs,
            polls,
            command_began,
            command_ended,
            deadline,
            ended,
            outcome,
            events,
        }
    }

    /// What the same comes to when it comes `later`, and with other ids.
    pub(crate) fn replay(&self, watched: &Watched, later: Ms, name: Naming) -> Outcome {
        let mut machine = Machine::new(self.policy(name));
        let ended = watched.inputs.iter().find_map(|(at, input)| {
            let details = |state| watched.world.answer(state, name);
            match self.give(&mut machine, at + later, *input, details)?.next {
                Next::Done(outcome) => Some(*outcome),
                Next::Poll(_) => None,
            }
        });
        ended.expect("the same ends it")
    }

    fn give(
        &self,
        machine: &mut Machine,
        at: Ms,
        input: Input,
        details: impl FnOnce(usize) -> Box<AgentDetails>,
    ) -> Option<Step> {
        match input {
            Input::Poll(seen) => {
                Some(machine.observe(time(at), self.observation(at, seen, details)))
            }
            Input::CommandStarts => {
                machine.command_started();
                None
            }
            Input::CommandEnds(code) => Some(machine.command_ended(time(at), code)),
            Input::Timer => Some(machine.on_timer(time(at))),
        }
    }

    fn observation(
        &self,
        at: Ms,
        seen: Seen,
        details: impl FnOnce(usize) -> Box<AgentDetails>,
    ) -> Observation {
        match seen {
            Seen::State(state) => Observation::Details {
                details: details(state),
                server_time: self.date_header.then(|| whole_seconds(at)),
            },
            Seen::Absent => Observation::Absent(None),
            Seen::Failed(class) => failed_poll(class),
        }
    }

    /// How long the loop waits after a poll.
    fn pause(&self, at: Ms, seen: Seen, failed: u32, random: &mut impl FnMut() -> f64) -> Ms {
        if self.active(at).any(|kind| kind == Kind::Burst) {
            return 40;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand")]
        let mut share = |of: f64| (of * random()) as Ms;
        match seen {
            Seen::Failed(class) => {
                let backoff =
                    share((500.0 * 2_f64.powi(failed.min(6).cast_signed() - 1)).min(10_000.0));
                match class {
                    FailureClass::Transient {
                        retry_after: Some(asked),
                    } => backoff.max(millis(asked)),
                    _ => backoff.max(1),
                }
            }
            Seen::State(_) | Seen::Absent => 900 + share(1100.0),
        }
    }
}

pub(crate) fn failed_poll(class: FailureClass) -> Observation {
    Observation::Failed(Failure {
        class,
        code: "Http".to_owned(),
        summary: "it failed".to_owned(),
        request_id: None,
    })
}

pub(crate) fn time(at: Ms) -> Duration {
    Duration::from_millis(at.unsigned_abs())
}

pub(crate) fn millis(time: Duration) -> Ms {
    Ms::try_from(time.as_millis()).unwrap_or(Ms::MAX)
}

/// A Date header: whole seconds, rounded down.
fn whole_seconds(at: Ms) -> Timestamp {
    date(0) + SignedDuration::from_secs(at.div_euclid(1000))
}

/// Numbers from 0 to 1 that follow from a seed (an xorshift).
fn random_of(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from(u32::try_from(state >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}
