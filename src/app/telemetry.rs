//! Rollouts as traces: sent when they have ended, in a time that nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::adapters::otlp::Exporter;
use crate::core::fleet::{EventKind, FleetEvent};
use crate::core::rollout::Report;
use crate::core::trace::{Rollout, Root};

/// How long the end of the program waits for an export: the process ends within a second of its verdict.
const LAST_EXPORT: Duration = Duration::from_millis(800);
/// The most rollouts of a sidecar that wait to be exported.
const MAX_WAITING: usize = 256;

/// Where traces go, and whose child the first rollout is.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    pub(crate) exporter: Exporter,
    /// How long an export may take, where nobody waits for it.
    pub(crate) timeout: Duration,
    /// The root span of the first rollout.
    pub(crate) root: Root,
}

/// What a sidecar hands its rollouts to.
pub(crate) struct Traces {
    sender: mpsc::Sender<Vec<Value>>,
    worker: JoinHandle<()>,
    /// How many rollouts did not arrive, or not yet.
    missing: Arc<AtomicUsize>,
}

impl Telemetry {
    /// Sends a report as traces, one for each agent: those of `run` span all of it, from when it `began`.
    pub(crate) async fn export(&self, report: &Report, began: Option<Timestamp>) {
        let random = || fastrand::u64(..);
        let around = began.map(|began| (began, Timestamp::now()));
        let mut spans = Vec::new();
        for (index, agent) in report.agents.iter().enumerate() {
            let own = (index == 0).then(|| self.root.clone());
            let root = own.unwrap_or_else(|| self.root.sibling(random));
            if root.is_sampled {
                spans.extend(Rollout::of_report(agent, around).spans(&root, random));
            }
        }
        if !spans.is_empty()
            && let Err(why) = self.exporter.export(&spans, LAST_EXPORT).await
        {
            warn!("the trace was not sent: {why}");
        }
    }

    /// Begins to send what a sidecar sees.
    pub(crate) fn start(self) -> Traces {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let missing = Arc::new(AtomicUsize::new(0));
        let worker = tokio::spawn(self.send_all(receiver, Arc::clone(&missing)));
        Traces {
            sender,
            worker,
            missing,
        }
    }

    async fn send_all(self, mut receiver: mpsc::Receiver<Vec<Value>>, missing: Arc<AtomicUsize>) {
        let mut fails = false;
        while let Some(spans) = receiver.recv().await {
            let sent = self.exporter.export(&spans, self.timeout).await;
            match &sent {
                Err(why) if !fails => warn!("traces are not sent: {why}"),
                Ok(()) if fails => info!("traces are sent again"),
                _ => {}
            }
            fails = sent.is_err();
            if !fails {
                missing.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Traces {
    /// Has the rollouts sent that have ended among these events. If too many wait, one is dropped, which is said at
    /// the end: the history has it.
    pub(crate) fn export(&self, events: &[FleetEvent]) {
        let random = || fastrand::u64(..);
        let finished = |event: &&FleetEvent| event.kind == EventKind::RolloutFinished;
        for event in events.iter().filter(finished) {
            let spans = Rollout::of_event(event).spans(&Root::below(None, random), random);
            self.missing.fetch_add(1, Ordering::Relaxed);
            // The worker says why it sends nothing.
            let _ = self.sender.try_send(spans);
        }
    }

    /// Sends what waits, for a moment, and says how much never arrived.
    pub(crate) async fn finish(self) {
        drop(self.sender);
        let _ = timeout(LAST_EXPORT, self.worker).await;
        match self.missing.load(Ordering::Relaxed) {
            0 => {}
            1 => warn!("1 rollout was not sent as a trace; the history has it"),
            lost => warn!("{lost} rollouts were not sent as traces; the history has them"),
        }
    }
}
