//! The story on a terminal: lines above, and below them a living line for each agent.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::line;
use super::{Detail, Manner, logging};
use crate::core::messages::{self, Tone};
use crate::core::rollout::{AgentReport, Event, Phase};
use crate::core::text::one_line;

/// How often the living lines are drawn anew.
const TICK: Duration = Duration::from_millis(120);

/// A living line an agent, the story above.
pub(crate) struct Tty {
    manner: Manner,
    colour: Colour,
    screen: MultiProgress,
    agents: Vec<Living>,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Allowed,
    /// `NO_COLOR` is set (no-color.org).
    Refused,
}

/// The living line of an agent.
struct Living {
    agent: String,
    bar: ProgressBar,
    phase: Phase,
    replicas: Option<(u64, u64)>,
    restarts: u64,
    failing: u64,
}

impl Tty {
    pub(super) fn begin(manner: Manner, agents: Vec<String>) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        logging::write_above(screen.clone());
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            manner,
            colour: if no_color {
                Colour::Refused
            } else {
                Colour::Allowed
            },
            agents: agents
                .into_iter()
                .map(|agent| Living::begin(agent, &screen, manner.detail))
                .collect(),
            screen,
        }
    }

    pub(super) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        let living = &mut self.agents[agent];
        living.note(event);
        let shown_below = matches!(event, Event::Finished { .. } | Event::Heartbeat { .. });
        if self.manner.detail == Detail::Whole && !shown_below {
            let words = self
                .colour
                .paint(messages::tone(event), &messages::line(event));
            let told = line(&living.agent, at, &words);
            self.print(&told);
        }
    }

    pub(super) fn end(&mut self, agent: usize, report: &AgentReport) {
        self.agents[agent].bar.finish_and_clear();
        let mut block = messages::failure_block(report, self.manner.occasion);
        let tone = messages::verdict_tone(report.outcome.verdict);
        if let Some(first) = block.first_mut() {
            *first = self.colour.paint(tone, first);
            self.print(&block.join("\n"));
        } else if self.manner.detail == Detail::Whole {
            let at = report.outcome.elapsed;
            let told = line(&report.agent, at, &self.colour.paint(tone, "ready"));
            self.print(&told);
        }
    }

    /// Prints lines above the living ones. A terminal that is gone has no reader.
    fn print(&self, lines: &str) {
        let _ = self.screen.println(lines);
    }
}

impl Living {
    fn begin(agent: String, screen: &MultiProgress, detail: Detail) -> Self {
        let bar = match detail {
            Detail::Whole => screen.add(ProgressBar::new_spinner()),
            Detail::Ending => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let living = Self {
            agent,
            bar,
            phase: Phase::Waiting,
            replicas: None,
            restarts: 0,
            failing: 0,
        };
        living.show();
        living
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::PhaseChanged { phase, .. } => self.phase = *phase,
            Event::ReplicasChanged {
                ready_replicas,
                replicas_started,
            } => self.replicas = Some((*ready_replicas, *replicas_started)),
            Event::Restarted { restart_count, .. } => self.restarts = *restart_count,
            Event::PollFailed { .. } => self.failing = 1,
            Event::Heartbeat { failing, .. } => self.failing = *failing,
            Event::PollRecovered { .. } => self.failing = 0,
            _ => {}
        }
        self.show();
    }

    fn show(&self) {
        let mut parts = vec![format!("{}: {}", one_line(&self.agent), self.phase)];
        if let Some((ready, started)) = self.replicas {
            parts.push(format!("{ready} of {} ready", messages::replicas(started)));
        }
        if self.restarts > 0 {
            parts.push(messages::restarts(self.restarts));
        }
        parts.extend(messages::failing_words(self.failing));
        self.bar.set_message(parts.join(", "));
    }
}

impl Colour {
    fn paint(self, tone: Tone, words: &str) -> String {
        let style = match (self, tone) {
            (Colour::Refused, _) | (_, Tone::Neutral) => return words.to_owned(),
            (Colour::Allowed, Tone::Good) => AnsiColor::Green.on_default(),
            (Colour::Allowed, Tone::Doubtful) => AnsiColor::Yellow.on_default(),
            (Colour::Allowed, Tone::Bad) => AnsiColor::Red.on_default().bold(),
        };
        let style: Style = style;
        format!("{style}{words}{style:#}")
    }
}
