//! What one poll can bring, as letters: enough that each rule of the contract has some that meet it.

use pipecat_rollout::fuzzing::rollout::{FailureClass, Observation};

use crate::watch::{failed_poll, time};
use crate::world::{BASELINE, Dates, Ms, Revision, State, body_of, date, details_of, rising};

pub(crate) const TARGET: usize = BASELINE + 1;
pub(crate) const NEWER: usize = BASELINE + 2;
/// When the deployments were created: the baseline before the watch, the others in it.
pub(crate) const CREATED: [Ms; 4] = [-900_000, -300_000, 1000, 1500];

#[derive(Debug)]
pub(crate) enum Brings {
    /// An answer, and whether it has dates: `since` is their order then.
    Agent {
        state: State,
        dated: bool,
    },
    Absent,
    Failed(FailureClass),
    /// No poll: the deploy command ends.
    CommandEnds(u8),
}

#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) name: &'static str,
    pub(crate) brings: Brings,
    pub(crate) observation: Option<Observation>,
}

fn state(desired: usize, reconciled: usize, phase: &'static str) -> State {
    let revision = Revision {
        of: reconciled,
        phase,
        reason: None,
        restarts: 0,
        platform_issue: false,
    };
    State {
        exists: true,
        desired: Some(desired),
        reconciled: Some(reconciled),
        ready: phase == "Active",
        revision: Some(revision),
        ..State::nothing()
    }
}

/// The letters that come first are the commonest.
pub(crate) fn alphabet() -> Vec<Letter> {
    let old = || state(BASELINE, BASELINE, "Active");
    let reconciling = || state(TARGET, BASELINE, "Active");
    let creating = || state(TARGET, TARGET, "Creating");
    let ready = || state(TARGET, TARGET, "Active");
    let newer = || state(NEWER, NEWER, "Active");
    let failed = || state(TARGET, TARGET, "Failed");
    let of = |state: State, change: &dyn Fn(&mut Revision)| State {
        revision: state.revision.map(|mut revision| {
            change(&mut revision);
            revision
        }),
        ..state
    };
    let waits = |reason, restarts| {
        of(creating(), &|own| {
            (own.reason, own.restarts) = (Some(reason), restarts);
        })
    };
    let with_errors = |state| State {
        errors: vec![TARGET],
        ..state
    };
    let agent = |state| Brings::Agent {
        state,
        dated: false,
    };
    let dated = |state, order: Ms| {
        let state = State {
            since: 2000 + order,
            ..state
        };
        Brings::Agent { state, dated: true }
    };
    let transient = |retry_after| Brings::Failed(FailureClass::Transient { retry_after });
    let letters = [
        ("old", agent(old())),
        ("old, dated", dated(old(), 1)),
        ("reconciling", agent(reconciling())),
        ("creating", agent(creating())),
        ("ready", agent(ready())),
        ("newer", agent(newer())),
        ("503", transient(None)),
        ("reconciling, dated", dated(reconciling(), 2)),
        ("ready, dated", dated(ready(), 3)),
        ("404", Brings::Absent),
        ("newer, dated", dated(newer(), 4)),
        ("back to old, dated", dated(old(), 5)),
        (
            "back to old, reconciling",
            dated(state(BASELINE, TARGET, "Active"), 5),
        ),
        (
            "ready on the old revision",
            agent(of(ready(), &|own| own.of = BASELINE)),
        ),
        (
            "ready, restarted",
            agent(of(ready(), &|own| own.restarts = 1)),
        ),
        ("failed", agent(failed())),
        (
            "failed and ready",
            agent(State {
                ready: true,
                ..failed()
            }),
        ),
        ("crashed", agent(waits("Error", 1))),
        ("crash loop", agent(waits("CrashLoopBackOff", 3))),
        ("not pulling", agent(waits("ImagePullBackOff", 0))),
        ("invalid image", agent(waits("InvalidImageName", 0))),
        ("reconciling, errors", agent(with_errors(reconciling()))),
        ("creating, errors", agent(with_errors(creating()))),
        ("old, errors", agent(with_errors(old()))),
        ("503, later", transient(Some(time(3000)))),
        ("401", Brings::Failed(FailureClass::Unauthorized)),
        ("302", Brings::Failed(FailureClass::Refused)),
        ("the command succeeds", Brings::CommandEnds(0)),
        ("the command fails", Brings::CommandEnds(1)),
    ];
    let letter = |(name, brings)| Letter {
        name,
        observation: observation(&brings),
        brings,
    };
    letters.into_iter().map(letter).collect()
}

fn observation(brings: &Brings) -> Option<Observation> {
    Some(match brings {
        Brings::Agent { state, dated } => {
            let dates = if *dated {
                Dates::OfChanges
            } else {
                Dates::None
            };
            Observation::Details {
                details: details_of(&body_of(state, &CREATED, dates, rising)),
                // After the baseline was created, and before any other: no date is three seconds ahead of it.
                server_time: dated.then(|| date(0)),
            }
        }
        Brings::Absent => Observation::Absent(None),
        Brings::Failed(class) => failed_poll(*class),
        Brings::CommandEnds(_) => return None,
    })
}
