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
        let shown = match event {
            // How it ended is shown at its end, with all that is known about it.
            Event::Finished { verdict, .. } => {
                *verdict == Verdict::Ready && !self.manner.on_same_terminal
            }
            _ => true,
        };
        if shown && self.manner.detail == Detail::Whole {
            print::err(&line(&self.agents[agent], at, &messages::line(event)));
        }
    }

    pub(super) fn end(&mut self, report: &AgentReport) {
        let occasion = self.manner.occasion;
        let block = match (report.outcome.verdict, self.manner.detail) {
            (Verdict::Ready, Detail::Ending) => return,
            (Verdict::Ready, Detail::Whole) if !self.manner.on_same_terminal => {
                messages::failure_block(report, occasion)
            }
            _ => messages::ending_block(report, occasion),
        };
        if !block.is_empty() {
            print::err(&tty::wrapped(&block).join("\n"));
        }
    }
}
