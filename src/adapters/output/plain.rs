//! The story as plain lines: for logs, pipes and CI.

use std::time::Duration;

use super::lines::{line, write};
use super::{Detail, Manner};
use crate::core::messages;
use crate::core::rollout::{AgentReport, Event, Verdict};

/// A line for each change. No line begins with foreign text.
pub(crate) struct Plain {
    manner: Manner,
    agents: Vec<String>,
}

impl Plain {
    pub(super) fn begin(manner: Manner, agents: Vec<String>) -> Self {
        Self { manner, agents }
    }

    pub(super) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        // How it ended is told at its end, with all that is known about it.
        if self.manner.detail == Detail::Ending || matches!(event, Event::Finished { .. }) {
            return;
        }
        write(&line(&self.agents[agent], at, &messages::line(event)));
    }

    pub(super) fn end(&mut self, report: &AgentReport) {
        if report.outcome.verdict != Verdict::Ready {
            write(&messages::failure_block(report, self.manner.occasion).join("\n"));
        } else if self.manner.detail == Detail::Whole {
            let at = report.outcome.elapsed;
            write(&line(&report.agent, at, "ready"));
        }
    }
}
