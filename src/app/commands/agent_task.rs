//! The watch of one agent: followed or checked once, then its logs are read if it is not ready.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::signals::Signals;
use super::smoke;
use crate::adapters::api::connection::{Connection, Priority};
use crate::app::plan::Smoke;
use crate::app::poll_loop::{MAX_REQUEST, Signal, Tempo, follow};
use crate::core::messages::Mode;
use crate::core::rollout::{AgentReport, Event, Machine, Next, Outcome, Route, Until, Verdict};
use crate::core::wire::AgentName;

/// The longest that the logs may take, with the wait for a permit to ask for them: the verdict is
/// known by then, and the process ends within a second of it.
const MAX_LOGS_TIME: Duration = Duration::from_millis(900);

/// What the watch of an agent reports.
pub(super) enum TaskMessage {
    Happened(Duration, Event),
    Ended(Box<AgentReport>),
}

/// Reports from the watches of the agents, in whatever order they come.
pub(super) type TaskSender = mpsc::UnboundedSender<(usize, TaskMessage)>;

/// The watch of one agent.
pub(super) struct AgentTask {
    pub(super) index: usize,
    pub(super) agent: AgentName,
    pub(super) tempo: Tempo,
    /// The most lines of its log to ask for.
    pub(super) logs: usize,
    pub(super) connection: Connection,
    /// The session to start when it is ready.
    pub(super) smoke: Option<Arc<Smoke>>,
    pub(super) signals: Signals,
    /// What the deploy command of `run` does.
    pub(super) command: Option<mpsc::UnboundedReceiver<Signal>>,
    pub(super) sender: TaskSender,
}

impl AgentTask {
    /// Watches with this machine to the end, and reports.
    pub(super) async fn run(mut self, machine: Machine, mode: Mode) {
        let started_at = Timestamp::now();
        let outcome = match mode {
            Mode::Watch | Mode::Run => {
                let outcome = self.follow(machine).await;
                self.after_smoke(outcome).await
            }
            Mode::Status => self.check_once(machine).await,
        };
        let name = self.agent.as_str().to_owned();
        let mut report = AgentReport::new(name, started_at, outcome);
        report.logs = self.logs(&report, mode).await;
        self.on_event(TaskMessage::Ended(Box::new(report)));
    }

    /// What comes of a session on a deployment that is ready, where one is asked for.
    async fn after_smoke(&mut self, mut outcome: Outcome) -> Outcome {
        let Some(smoke) = self.smoke.clone() else {
            return outcome;
        };
        let target = outcome.deployment_id.clone();
        if let (Verdict::Ready, Some(target)) = (outcome.verdict, target) {
            let (connection, signals) = (&self.connection, &mut self.signals);
            let ran = smoke::run(&smoke, connection, signals, &self.agent, &target).await;
            if let Err((verdict, reason)) = ran {
                outcome.verdict = verdict;
                outcome.reason = Some(reason);
            }
        }
        let finished = Event::Finished {
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            elapsed: outcome.elapsed,
        };
        self.on_event(TaskMessage::Happened(outcome.elapsed, finished));
        outcome
    }

    async fn follow(&mut self, machine: Machine) -> Outcome {
        let (connection, agent, sender, index) =
            (&self.connection, &self.agent, &self.sender, self.index);
        let permit = || connection.acquire(Priority::Normal);
        let drains = machine.limits().until == Until::Drained;
        let fetch = |limit, route| async move {
            if drains {
                connection.observe_draining(agent, limit, route).await
            } else {
                connection.observe(agent, limit, route).await
            }
        };
        let smokes = self.smoke.is_some();
        let emit = |at, event| {
            // A session may still say otherwise.
            if smokes && matches!(event, Event::Finished { .. }) {
                return;
            }
            // The listener outlives all watches.
            let _ = sender.send((index, TaskMessage::Happened(at, event)));
        };
        let command = Mutex::new(self.command.take());
        let signals = || {
            let mut signals = self.signals.clone();
            let command = &command;
            async move {
                let mut command = command.lock().await;
                let of_command = async {
                    match command.as_mut() {
                        Some(command) => command.recv().await,
                        None => None,
                    }
                };
                tokio::select! {
                    biased;
                    interruption = signals.interruption() => Signal::Interrupted(interruption),
                    Some(signal) = of_command => signal,
                    else => pending().await,
                }
            }
        };
        follow(machine, self.tempo, permit, fetch, emit, signals).await
    }

    async fn check_once(&mut self, mut machine: Machine) -> Outcome {
        let start = Instant::now();
        let observe = async {
            self.connection.acquire(Priority::Normal).await;
            self.connection
                .observe(&self.agent, MAX_REQUEST, Route::Pooled)
                .await
        };
        let step = tokio::select! {
            biased;
            interruption = self.signals.interruption() => {
                machine.interrupt(start.elapsed(), interruption)
            }
            observation = observe => {
                machine.observe(start.elapsed(), observation)
            }
        };
        for event in step.events {
            self.on_event(TaskMessage::Happened(start.elapsed(), event));
        }
        match step.next {
            Next::Done(outcome) => *outcome,
            Next::Poll(_) => unreachable!("the deadline of a single check has passed"),
        }
    }

    /// What the deployment logged last, where that may show why it is not ready.
    ///
    /// That there is no answer changes nothing about the verdict.
    async fn logs(&mut self, report: &AgentReport, mode: Mode) -> Vec<String> {
        let Some(deployment) = &report.outcome.deployment_id else {
            return Vec::new();
        };
        if self.logs == 0 || !may_show_why(report.outcome.verdict, mode) {
            return Vec::new();
        }
        let connection = self.connection.clone();
        let asked = async {
            let began = Instant::now();
            // Where requests queue, or the API asks for patience, the verdict does not wait for them.
            let permit = timeout(MAX_LOGS_TIME, connection.acquire(Priority::Normal)).await;
            permit.map_err(|_| "too many requests are waiting".to_owned())?;
            let left = MAX_LOGS_TIME.saturating_sub(began.elapsed());
            let lines = connection.logs(&self.agent, deployment, self.logs, left);
            match timeout(left, lines).await {
                Ok(lines) => lines.map_err(|error| error.to_string()),
                Err(_) => Err("there was no time for it".to_owned()),
            }
        };
        let answer = tokio::select! {
            biased;
            _ = self.signals.interruption() => return Vec::new(),
            answer = asked => answer,
        };
        let why = match answer {
            Ok(lines) => return lines,
            Err(why) => why,
        };
        let agent = self.agent.as_str();
        warn!(agent, why, "the logs of {agent} cannot be read: {why}");
        Vec::new()
    }

    fn on_event(&self, message: TaskMessage) {
        // The listener outlives all watches.
        let _ = self.sender.send((self.index, message));
    }
}

/// Whether the logs of a deployment that ended so may show why.
fn may_show_why(verdict: Verdict, mode: Mode) -> bool {
    match verdict {
        Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure => true,
        // For a single check it only means that the rollout goes on.
        Verdict::Timeout => mode != Mode::Status,
        Verdict::Ready
        | Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => false,
    }
}
