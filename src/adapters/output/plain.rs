//! The progress as plain lines: for logs, pipes and CI.

use std::time::Duration;

use super::{Display, Verbosity, line, print, tty};
use crate::core::messages;
use crate::core::rollout::{AgentReport, Event, Verdict};

/// A line for each change. No line begins with foreign text.
pub(crate) struct Plain {
    display: Display,
    agents: Vec<String>,
}

impl Plain {
    pub(super) fn begin(display: Display, agents: Vec<String>) -> Self {
        Self { display, agents }
    }

    pub(super) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        let shown = match event {
            // How it ended is shown at its end, with all that is known about it.
            Event::Finished { verdict, .. } => {
                *verdict == Verdict::Ready && !self.display.on_same_terminal
            }
            _ => true,
        };
        if shown && self.display.detail == Verbosity::All {
            print::err(&line(&self.agents[agent], at, &messages::line(event)));
        }
    }

    pub(super) fn end(&mut self, report: &AgentReport) {
        let mode = self.display.mode;
        let block = match (report.outcome.verdict, self.display.detail) {
            (Verdict::Ready, Verbosity::Ending) => return,
            (Verdict::Ready, Verbosity::All) if !self.display.on_same_terminal => {
                messages::failure_block(report, mode)
            }
            _ => messages::ending_block(report, mode),
        };
        if !block.is_empty() {
            print::err(&tty::wrapped(&block).join("\n"));
        }
    }
}
