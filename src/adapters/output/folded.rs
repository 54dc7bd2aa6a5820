//! The progress in a CI's log: the lines folded into a group or section, how it ended open below it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Display, Verbosity, github, gitlab, line, print};
use crate::core::messages::{self, Mode};
use crate::core::rollout::{AgentReport, Event, Verdict};

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// A group, and an annotation an agent.
    Github,
    /// A section, which says when it began.
    Gitlab { began: Timestamp },
}

/// The progress of all agents in one fold: folds cannot lie within each other on every CI.
pub(crate) struct Folded {
    log: Log,
    display: Display,
    agents: Vec<String>,
    ended: Vec<Option<AgentReport>>,
}

impl Folded {
    pub(super) fn begin(log: Log, display: Display, agents: Vec<String>) -> Self {
        let folded = Self {
            log,
            display,
            ended: agents.iter().map(|_| None).collect(),
            agents,
        };
        if folded.folds() {
            let title = format!("Rollout of {}", folded.agents.join(", "));
            print::err(&match log {
                Log::Github => github::group(&title),
                Log::Gitlab { began } => gitlab::section(began, &title),
            });
        }
        folded
    }

    /// Whether the progress is folded: not beside a deploy command, whose output would be folded with it.
    fn folds(&self) -> bool {
        self.display.detail == Verbosity::All && self.display.mode != Mode::Run
    }

    pub(super) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        let words = match event {
            Event::Finished {
                verdict: Verdict::Ready,
                ..
            } => "ready".to_owned(),
            // It stands below, with all that is known about it.
            Event::Finished { .. } => return,
            _ => messages::line(event),
        };
        if self.display.detail == Verbosity::All {
            print::err(&line(&self.agents[agent], at, &words));
        }
    }

    /// Notes how it ended with an agent. After the last one the fold is closed, and all endings
    /// are shown.
    pub(super) fn end(&mut self, agent: usize, report: &AgentReport) {
        self.ended[agent] = Some(report.clone());
        if self.ended.iter().any(Option::is_none) {
            return;
        }
        let reports: Vec<&AgentReport> = self.ended.iter().flatten().collect();
        let mut lines = Vec::new();
        if self.folds() {
            lines.push(match self.log {
                Log::Github => github::END_GROUP.to_owned(),
                Log::Gitlab { began } => {
                    let longest = reports.iter().map(|report| report.outcome.elapsed).max();
                    gitlab::end_section(began, longest.unwrap_or_default())
                }
            });
        }
        for report in reports {
            let mode = self.display.mode;
            if report.outcome.verdict != Verdict::Ready {
                lines.extend(messages::failure_block(report, mode));
            } else if self.display.detail == Verbosity::Ending {
                continue;
            }
            if self.log == Log::Github {
                lines.extend(github::annotation(report, mode));
            }
        }
        if !lines.is_empty() {
            print::err(&lines.join("\n"));
        }
    }
}
