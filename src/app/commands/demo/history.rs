//! The past of the demo: three weeks of rollouts, the same in every run.

use jiff::{SignedDuration, Timestamp};

use crate::adapters::simulator::Scenario;
use crate::adapters::store::{Outcome, Route, Settled, Store, StoreError};
use crate::core::fleet::{Change, EventData, EventKind, FleetEvent};
use crate::core::rollout::{Phase, PhaseEntry, Reason, RevisionReport, Verdict};

const DAYS: i64 = 21;
/// The most rollouts in all.
const MAX_ROLLOUTS: usize = 5_000;
/// Of the latest events of which the pager has refused some.
const DEAD_LETTERS: usize = 3;
const TRACEBACK: &str = "Traceback (most recent call last):
  File \"/app/bot.py\", line 41, in <module>
    settings = Settings.from_environment()
  File \"/app/settings.py\", line 17, in from_environment
    return cls(api_key=os.environ[\"TTS_API_KEY\"])
  File \"<frozen os>\", line 714, in __getitem__
KeyError: 'TTS_API_KEY'";

/// Writes what would have happened until `now`.
pub(super) fn write(
    store: &mut Store,
    agents: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut random = fastrand::Rng::with_seed(11);
    let rounds = (MAX_ROLLOUTS / agents.len().max(1)).clamp(1, 36);
    let mut events: Vec<FleetEvent> = Vec::new();
    for agent in agents {
        // A deployment belongs to the simulator from 0 on; these are before that.
        let mut version = 10_000;
        let usual = random.u64(20_000..48_000);
        let mut at = now - hours(DAYS * 24) + minutes(random.i64(0..1_000));
        for _ in 0..rounds {
            at += minutes(random.i64(2..=DAYS * 24 * 120 / i64::try_from(rounds).unwrap_or(1)));
            // What failed is deployed again until it is ready.
            while at < now - minutes(5) {
                version += 1;
                let verdict = match random.u8(0..100) {
                    0..88 => Verdict::Ready,
                    88..97 => Verdict::Failed,
                    _ => Verdict::Timeout,
                };
                let took = match verdict {
                    Verdict::Timeout => 600_000,
                    _ => random.u64(usual * 4 / 5..usual * 3 / 2),
                };
                events.push(finished(agent, version, at, verdict, took));
                at += minutes(random.i64(4..40));
                if verdict == Verdict::Ready {
                    break;
                }
            }
        }
        // The latest one is what the simulator begins with.
        if let Some(last) = events.last_mut() {
            last.data.deployment_id = Some(Scenario::deployment_id(agent, 1, "old"));
        }
    }
    events.sort_by_key(|event| event.time);
    let first_refused = events.len().saturating_sub(DEAD_LETTERS);
    let refused = Change {
        events: events.split_off(first_refused),
        ..Change::default()
    };
    let past = Change {
        events,
        ..Change::default()
    };
    store.apply(now, &past, |_| Route::to(&[]))?;
    let refused = store.apply(now, &refused, |_| Route::to(&["pager"]))?;
    let settled: Vec<Settled> = refused
        .into_iter()
        .map(|stored| Settled {
            agent: stored.event.data.agent,
            number: stored.number,
            outcome: Outcome::Dead("the receiver answered 422 Unprocessable Entity".to_owned()),
        })
        .collect();
    store.settle("pager", now, &settled, None)
}

fn finished(agent: &str, version: u64, at: Timestamp, verdict: Verdict, took: u64) -> FleetEvent {
    let id = Scenario::deployment_id(agent, version, "new");
    let took_signed = i64::try_from(took).unwrap_or(i64::MAX);
    let started_at = at - SignedDuration::from_millis(took_signed);
    let part = |percent: u64| took * percent / 100;
    let mut phases = vec![
        entry(Phase::Reconciling, 0),
        entry(Phase::Creating, part(15)),
        entry(Phase::Validating, part(55)),
    ];
    if verdict == Verdict::Ready {
        phases.push(entry(Phase::Active, took));
    }
    let (code, summary, message) = match verdict {
        Verdict::Failed => (
            "Error",
            "the code exits again and again (exit code 1)",
            Some(TRACEBACK),
        ),
        Verdict::Timeout => ("Timeout", "it was not ready after 10m", None),
        _ => ("", "", None),
    };
    let reason = (!code.is_empty()).then(|| Reason {
        code: code.to_owned(),
        summary: summary.to_owned(),
        message: message.map(str::to_owned),
    });
    let is_failed = verdict == Verdict::Failed;
    FleetEvent {
        kind: EventKind::RolloutFinished,
        time: at,
        dedup_key: format!("{agent}/{id}"),
        data: EventData {
            agent: agent.to_owned(),
            region: Some(super::region(agent).to_owned()),
            deployment_id: Some(id),
            deployment_created_at: Some(started_at),
            image: Some(super::image(agent, &format!("1.{}", version % 1000))),
            previous_deployment_id: Some(Scenario::deployment_id(agent, version - 1, "new")),
            verdict: Some(verdict),
            reason,
            available: Some(true),
            revision: Some(RevisionReport {
                phase: Some(if is_failed { "Validating" } else { "Active" }.to_owned()),
                ready_replicas: Some(u64::from(!is_failed)),
                restart_count: Some(if is_failed { 3 } else { 0 }),
                replicas_started: Some(1),
                last_exit_code: is_failed.then_some(1),
                last_termination_reason: is_failed.then(|| "Error".to_owned()),
                ..RevisionReport::default()
            }),
            phases,
            started_at: Some(started_at),
            elapsed_ms: Some(took),
            ..EventData::default()
        },
    }
}

fn entry(phase: Phase, at_ms: u64) -> PhaseEntry {
    PhaseEntry { phase, at_ms }
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}
