//! The progress as plain lines: for logs, pipes and CI.

use std::time::Duration;

use super::{Detail, Manner, line, print, tty};
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
        // How it ended is shown at its end, with all that is known about it.
        if self.manner.detail == Detail::Whole && !matches!(event, Event::Finished { .. }) {
            print::err(&line(&self.agents[agent], at, &messages::line(event)));
        }
    }

    pub(super) fn end(&mut self, report: &AgentReport) {
        let occasion = self.manner.occasion;
        let block = match (report.outcome.verdict, self.manner.detail) {
            (Verdict::Ready, Detail::Ending) => return,
            (Verdict::Ready, Detail::Whole) if !self.manner.on_same_terminal => {
                let ready = line(&report.agent, report.outcome.elapsed, "ready");
                let warnings = messages::failure_block(report, occasion);
                [ready].into_iter().chain(warnings).collect()
            }
            _ => messages::ending_block(report, occasion),
        };
        print::err(&tty::wrapped(&block).join("\n"));
    }
}
