//! The progress on a terminal: lines above, and below them a status line for each agent.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::{print, terminal};
use crate::core::messages::{self, Severity};
use crate::core::rollout::{Event, Phase};
use crate::core::text::{fit, one_line, short_duration, wrap};

/// How often the status lines are drawn.
const TICK: Duration = Duration::from_millis(120);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// How wide the head of a progress line is: the time.
const TIME_INDENT: &str = "          ";

static SCREEN: LazyLock<Mutex<Screen>> = LazyLock::new(Mutex::default);

/// The status lines at the bottom of the terminal.
#[derive(Default)]
struct Screen {
    /// Those of the agents that are still watched.
    statuses: Vec<Option<(Instant, String)>>,
    /// How many lines are drawn now.
    drawn: usize,
    tick: usize,
}

/// What the status line of an agent says.
#[derive(Default)]
pub(super) struct Status {
    phase: Phase,
    replicas: Option<(u64, u64)>,
    restarts: u64,
    failing: u64,
}

/// Draws these status lines, until [`set`] takes each of them away.
pub(super) fn begin(lines: impl IntoIterator<Item = String>) {
    let began = Instant::now();
    screen().statuses = lines
        .into_iter()
        .map(|words| Some((began, words)))
        .collect();
    // Without a thread the lines only stand still.
    let _ = thread::Builder::new().name("status".to_owned()).spawn(tick);
}

/// Draws other words in a status line, or takes it away.
pub(super) fn set(line: usize, words: Option<String>) {
    let mut screen = screen();
    let Some(status) = screen.statuses.get_mut(line) else {
        return;
    };
    let shown = status.take();
    *status = shown.zip(words).map(|((began, _), words)| (began, words));
    if screen.statuses.iter().all(Option::is_none) {
        let erasure = screen.erasure();
        screen.drawn = 0;
        print::err_raw(erasure);
    }
}

/// A line of progress as the terminal shows it.
pub(super) fn painted_line(head: &str, words: &str, severity: Severity) -> String {
    let lines = wrap(
        &format!("{head}{words}"),
        width().unwrap_or(usize::MAX),
        TIME_INDENT,
    );
    let painted = lines.iter().map(|line| match line.strip_prefix(head) {
        Some(words) => head.to_owned() + &paint(severity, words),
        None => paint(severity, line),
    });
    painted.collect::<Vec<_>>().join("\n")
}

/// A block as the terminal shows it, its heading painted.
pub(super) fn painted_block(block: &[String], severity: Severity) -> String {
    let heading = wrapped(&block[..block.len().min(1)]).len();
    let mut lines = wrapped(block);
    for line in &mut lines[..heading] {
        *line = paint(severity, line);
    }
    lines.join("\n")
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
    io::stderr().is_terminal().then(|| size(io::stderr()).1)
}

/// The columns of stdout, if it is a terminal.
pub(crate) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| size(stdout).1)
}

/// The rows and columns of a terminal; what it does not say is as it mostly is.
pub(super) fn size(terminal: impl AsFd) -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(terminal).ok();
    let size = size.map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
    let (rows, columns) = size.unwrap_or_default();
    let known = |count, otherwise| if count == 0 { otherwise } else { count };
    (known(rows, 24), known(columns, 80))
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
        let (rows, columns) = size(io::stderr());
        let (rows, columns) = (rows.max(2) - 1, columns.saturating_sub(1));
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
    pub(super) fn note(&mut self, event: &Event) {
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

    pub(super) fn words(&self, agent: &str) -> String {
        let parts = [
            Some(format!("{}: {}", one_line(agent), self.phase)),
            self.replicas
                .map(|(ready, started)| messages::replicas_ready(ready, started)),
            (self.restarts > 0).then(|| messages::count(self.restarts, "restart")),
            messages::failing_words(self.failing),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
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
