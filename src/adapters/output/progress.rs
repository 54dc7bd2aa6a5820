//! The progress on stderr: a line for each change, and in full how it ended with an agent.
//!
//! On a terminal there are status lines below, in a CI's log the lines are in a group or section, above how
//! it ended. No line begins with foreign text.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Display, Style, Verbosity, github, gitlab, json, print, terminal, tty};
use crate::core::messages::{self, Mode, Severity};
use crate::core::rollout::{AgentReport, Event, Verdict};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::AgentName;

/// How long nothing is counted where lines stay.
const BETWEEN_COUNTS: Duration = Duration::from_secs(10);

/// Takes what happened, and how long after the beginning.
pub(crate) type OnEvent = Box<dyn FnMut(Duration, &Event) + Send + Sync>;

/// The progress on stderr.
pub(crate) struct Progress {
    style: Style,
    display: Display,
    began: Timestamp,
    agents: Vec<Agent>,
    /// When the agents were counted last, where each is not shown by itself.
    counted_at: Option<Instant>,
    /// Who hears of every event as well.
    listener: Option<OnEvent>,
}

struct Agent {
    name: String,
    status: tty::Status,
    ended: Option<AgentReport>,
}

impl Progress {
    /// Begins to show `agents` at this time; each is known by its place in this list.
    pub(crate) fn begin(
        style: Style,
        display: Display,
        began: Timestamp,
        agents: &[AgentName],
    ) -> Self {
        let agents = agents.iter().map(|name| Agent {
            name: name.to_string(),
            status: tty::Status::default(),
            ended: None,
        });
        let progress = Self {
            style,
            display,
            began,
            agents: agents.collect(),
            counted_at: None,
            listener: None,
        };
        if progress.folds() {
            let names: Vec<&str> = progress.agents.iter().map(|it| it.name.as_str()).collect();
            let title = format!("Rollout of {}", names.join(", "));
            match style {
                Style::Github => print::err(&github::group(&title)),
                Style::Gitlab => print::err(&gitlab::section(began, &title)),
                Style::Tty | Style::Plain | Style::Json | Style::None => {}
            }
        }
        if style == Style::Tty && display.detail == Verbosity::All {
            let words = |agent: &Agent| agent.status.words(&agent.name);
            tty::begin(progress.agents.iter().map(words));
        }
        progress
    }

    /// Begins to hand every event to this listener, and to show none.
    pub(crate) fn handed(
        display: Display,
        agents: &[AgentName],
        listener: Option<OnEvent>,
    ) -> Self {
        let progress = Self::begin(Style::None, display, Timestamp::UNIX_EPOCH, agents);
        Self {
            listener,
            ..progress
        }
    }

    /// Begins to count how many of these agents have been checked.
    pub(crate) fn counting(style: Style, display: Display, agents: &[AgentName]) -> Self {
        let detail = Verbosity::Ending;
        let display = Display { detail, ..display };
        let mut progress = Self::begin(style, display, Timestamp::UNIX_EPOCH, agents);
        progress.counted_at = Some(Instant::now());
        if style == Style::Tty {
            tty::begin([progress.count()]);
        }
        progress
    }

    /// Shows what happened to an agent, `at` after the beginning.
    pub(crate) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        terminal::on_event(event);
        if let Some(listener) = &mut self.listener {
            listener(at, event);
        }
        let Agent { name, status, .. } = &mut self.agents[agent];
        let verdict = match event {
            Event::Finished { verdict, .. } => Some(*verdict),
            _ => None,
        };
        let words = match (self.style, verdict) {
            (Style::None, _) => return,
            _ if self.counted_at.is_some() => return,
            (Style::Json, _) => return json::log(name, at, event),
            (Style::Tty, _) => {
                status.note(event);
                tty::set(agent, Some(status.words(name)));
                // What the status line shows, or the end.
                if verdict.is_some() || matches!(event, Event::Heartbeat { .. }) {
                    return;
                }
                messages::line(event)
            }
            (Style::Plain, Some(Verdict::Ready)) if self.display.on_same_terminal => return,
            (Style::Plain, Some(Verdict::Ready)) | (_, None) => messages::line(event),
            (Style::Github | Style::Gitlab, Some(Verdict::Ready)) => "ready".to_owned(),
            // It is shown below, with all that is known about it.
            (Style::Plain | Style::Github | Style::Gitlab, Some(_)) => return,
        };
        if self.display.detail == Verbosity::Ending {
            return;
        }
        // `[  12.3s] my-agent: validating`
        let head = format!("[{:>7}] {}: ", short_duration(at), one_line(name));
        if self.style == Style::Tty {
            tty::above(&tty::painted_line(&head, &words, messages::severity(event)));
        } else {
            print::err(&(head + &words));
        }
    }

    /// Shows how it ended with an agent.
    pub(crate) fn end(&mut self, agent: usize, report: &AgentReport) {
        self.agents[agent].ended = Some(report.clone());
        match self.style {
            // The event that it has finished says it all.
            Style::Json | Style::None => {}
            _ if self.counted_at.is_some() => self.show_count(),
            Style::Github | Style::Gitlab => self.end_in_ci(),
            Style::Tty | Style::Plain => {
                tty::set(agent, None);
                let block = self.block(report);
                if !block.is_empty() {
                    let severity = match self.style {
                        Style::Tty => messages::verdict_severity(report.outcome.verdict),
                        _ => Severity::Info,
                    };
                    tty::above(&tty::painted_block(&block, severity));
                }
            }
        }
    }

    /// How it ended with an agent, as far as it is shown.
    fn block(&self, report: &AgentReport) -> Vec<String> {
        let (display, mode) = (self.display, self.display.mode);
        let is_elsewhere = self.style != Style::Tty && !display.on_same_terminal;
        match (report.outcome.verdict, display.detail) {
            (Verdict::Ready, Verbosity::Ending) => Vec::new(),
            (Verdict::Ready, Verbosity::All) if is_elsewhere => {
                messages::failure_block(report, mode)
            }
            _ => messages::ending_block(report, mode),
        }
    }

    /// Whether the lines of a CI's log are in a group: not beside a deploy command, whose output would be in
    /// it as well. There is one group for all agents, since groups cannot lie within each other everywhere.
    fn folds(&self) -> bool {
        self.display.detail == Verbosity::All && self.display.mode != Mode::Run
    }

    /// Ends the group after the last agent, and shows all endings below it.
    fn end_in_ci(&self) {
        let ended: Option<Vec<&AgentReport>> =
            self.agents.iter().map(|it| it.ended.as_ref()).collect();
        let Some(reports) = ended else {
            return;
        };
        let (mode, is_github) = (self.display.mode, self.style == Style::Github);
        let mut lines = Vec::new();
        if self.folds() {
            let lasted = reports.iter().map(|report| report.outcome.elapsed).max();
            lines.push(if is_github {
                github::END_GROUP.to_owned()
            } else {
                gitlab::end_section(self.began, lasted.unwrap_or_default())
            });
        }
        for report in reports {
            if report.outcome.verdict != Verdict::Ready {
                lines.extend(messages::failure_block(report, mode));
            } else if self.display.detail == Verbosity::Ending {
                continue;
            }
            if is_github {
                lines.extend(github::annotation(report, mode));
            }
        }
        if !lines.is_empty() {
            print::err(&lines.join("\n"));
        }
    }

    fn show_count(&mut self) {
        let is_last = self.agents.iter().all(|agent| agent.ended.is_some());
        let count = self.count();
        if self.style == Style::Tty {
            tty::set(0, (!is_last).then_some(count));
        } else if !is_last
            && self
                .counted_at
                .is_some_and(|at| at.elapsed() >= BETWEEN_COUNTS)
        {
            self.counted_at = Some(Instant::now());
            print::err(&count);
        }
    }

    fn count(&self) -> String {
        let checked = self.agents.iter().filter(|agent| agent.ended.is_some());
        format!(
            "{} of {} agents checked",
            checked.count(),
            self.agents.len()
        )
    }
}
