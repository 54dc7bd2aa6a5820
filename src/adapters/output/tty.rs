//! The progress on a terminal: lines above, and below them a status line for each agent.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::{Display, Verbosity, line, print, terminal};
use crate::core::messages::{self, Severity};
use crate::core::rollout::{AgentReport, Event, Phase, Verdict};
use crate::core::text::{fit, one_line, short_duration, wrap};

/// How often the status lines are drawn.
const TICK: Duration = Duration::from_millis(120);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// How wide the head of a progress line is: the time.
const TIME_INDENT: &str = "          ";

static SCREEN: Mutex<Screen> = Mutex::new(Screen {
    statuses: Vec::new(),
    drawn: 0,
    tick: 0,
});

/// A status line an agent, the progress above.
pub(crate) struct Tty {
    display: Display,
    agents: Vec<Status>,
}

/// The status lines at the bottom of the terminal.
struct Screen {
    /// Those of the agents that are still watched.
    statuses: Vec<Option<(Instant, String)>>,
    /// How many lines are drawn now.
    drawn: usize,
    tick: usize,
}

/// What the status line of an agent says.
struct Status {
    agent: String,
    phase: Phase,
    replicas: Option<(u64, u64)>,
    restarts: u64,
    failing: u64,
}

impl Tty {
    pub(super) fn begin(display: Display, agents: Vec<String>) -> Self {
        let agents = agents.into_iter().map(Status::new).collect::<Vec<_>>();
        if display.detail == Verbosity::All {
            let began = Instant::now();
            let statuses = agents.iter().map(|status| Some((began, status.words())));
            screen().statuses = statuses.collect();
            // Without a thread the lines only stand still.
            let _ = thread::Builder::new().name("status".to_owned()).spawn(tick);
        }
        Self { display, agents }
    }

    pub(super) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        let status = &mut self.agents[agent];
        status.note(event);
        let words = status.words();
        if let Some(Some((_, shown))) = screen().statuses.get_mut(agent) {
            *shown = words;
        }
        let shown_below = matches!(event, Event::Finished { .. } | Event::Heartbeat { .. });
        if self.display.detail == Verbosity::All && !shown_below {
            let head = line(&self.agents[agent].agent, at, "");
            let words = format!("{head}{}", messages::line(event));
            let severity = messages::severity(event);
            let lines = wrap(&words, width().unwrap_or(usize::MAX), TIME_INDENT);
            let painted = lines.iter().map(|line| match line.strip_prefix(&head) {
                Some(words) => head.clone() + &paint(severity, words),
                None => paint(severity, line),
            });
            above(&painted.collect::<Vec<_>>().join("\n"));
        }
    }

    pub(super) fn end(&mut self, agent: usize, report: &AgentReport) {
        if let Some(status) = screen().statuses.get_mut(agent) {
            *status = None;
        }
        let mode = self.display.mode;
        if self.display.detail == Verbosity::Ending && report.outcome.verdict == Verdict::Ready {
            return;
        }
        let block = messages::ending_block(report, mode);
        let heading = block
            .first()
            .map_or(0, |first| wrapped(std::slice::from_ref(first)).len());
        let severity = messages::verdict_severity(report.outcome.verdict);
        let mut lines = wrapped(&block);
        for line in &mut lines[..heading] {
            *line = paint(severity, line);
        }
        above(&lines.join("\n"));
    }
}

/// Draws one status line, until [`set_line`] takes it away.
pub(super) fn begin_line(words: String) {
    screen().statuses = vec![Some((Instant::now(), words))];
    // Without a thread the line only stands still.
    let _ = thread::Builder::new().name("status".to_owned()).spawn(tick);
}

/// Draws other words in the one status line, or takes it away.
pub(super) fn set_line(words: Option<String>) {
    let mut screen = screen();
    let mut began = screen.statuses.iter().flatten().map(|(began, _)| *began);
    let began = began.next_back().unwrap_or_else(Instant::now);
    screen.statuses = vec![words.map(|words| (began, words))];
    if screen.statuses.iter().all(Option::is_none) {
        let erasure = screen.erasure();
        screen.drawn = 0;
        print::err_raw(erasure);
    }
}

/// Writes lines to stderr, above the status lines if there are any.
pub(super) fn above(lines: &str) {
    screen().print(lines);
}

/// The lines of a block as stderr shows them: broken at words where it is a terminal.
pub(super) fn wrapped(block: &[String]) -> Vec<String> {
    match width() {
        Some(width) => {
            let lines = messages::wrap_block(block, width).into_iter();
            lines.map(terminal::linked).collect()
        }
        None => block.to_vec(),
    }
}

/// How many columns the terminal has that is stderr; `None` where it is none.
fn width() -> Option<usize> {
    let stderr = io::stderr();
    let size = rustix::termios::tcgetwinsize(&stderr).ok();
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    stderr.is_terminal().then_some(match columns {
        0 => 80,
        columns => columns,
    })
}

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the status lines until there are none.
fn tick() {
    loop {
        let mut screen = screen();
        if screen.statuses.iter().all(Option::is_none) {
            return;
        }
        screen.tick += 1;
        let frame = screen.erasure() + &screen.frame();
        if print::draw(frame) {
            screen.drawn = screen.lines().len();
        }
        drop(screen);
        thread::sleep(TICK);
    }
}

impl Screen {
    fn print(&mut self, lines: &str) {
        let text = format!("{}{lines}\n{}", self.erasure(), self.frame());
        print::err_raw(text);
        self.drawn = self.lines().len();
    }

    /// What takes the drawn lines away, and puts the cursor where they began.
    fn erasure(&self) -> String {
        match self.drawn {
            0 => String::new(),
            drawn => format!("\r\u{1b}[2K{}", "\u{1b}[1A\u{1b}[2K".repeat(drawn - 1)),
        }
    }

    fn frame(&self) -> String {
        self.lines().join("\n")
    }

    /// The status lines, each of them one line of the terminal, and no more than it has.
    fn lines(&self) -> Vec<String> {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
        let rows = size.map_or(24, |size| usize::from(size.ws_row).max(2)) - 1;
        let columns = width().unwrap_or(80).saturating_sub(1);
        let spinner = SPINNER[self.tick % SPINNER.len()];
        let statuses = self.statuses.iter().flatten();
        let lines = statuses.map(|(began, words)| {
            let line = format!("{spinner} {:>6} {words}", short_duration(began.elapsed()));
            // One line and no more: what wraps could not be taken away.
            fit(&line, columns)
        });
        lines.take(rows).collect()
    }
}

impl Status {
    fn new(agent: String) -> Self {
        Self {
            agent,
            phase: Phase::Waiting,
            replicas: None,
            restarts: 0,
            failing: 0,
        }
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
    }

    fn words(&self) -> String {
        let mut words = format!("{}: {}", one_line(&self.agent), self.phase);
        let parts = [
            self.replicas
                .map(|(ready, started)| messages::replicas_ready(ready, started)),
            (self.restarts > 0).then(|| messages::restarts(self.restarts)),
            messages::failing_words(self.failing),
        ];
        for part in parts.into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = write!(words, ", {part}");
        }
        words
    }
}

fn paint(severity: Severity, words: &str) -> String {
    let style: Style = match severity {
        Severity::Info => return words.to_owned(),
        Severity::Success => AnsiColor::Green.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Error => AnsiColor::Red.on_default().bold(),
    };
    match AutoStream::choice(&io::stderr()) {
        ColorChoice::Never => words.to_owned(),
        ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => {
            format!("{style}{words}{style:#}")
        }
    }
}
