//! What a terminal shows beside its lines: a progress bar in its tab, links, and a note at the end.
//!
//! Only where the terminal is known to take it. The bar is taken away at every end, but for that by a second signal.

use std::env;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anstyle_progress::{TermProgress, supports_term_progress};

use super::print;
use crate::core::rollout::Event;
use crate::core::text::one_line;

/// How often the bar is drawn again: some terminals take it away when they hear nothing for 15 seconds.
const REDRAW: Duration = Duration::from_secs(5);
/// How long a rollout lasts at least before its end is worth a note.
const NOTABLE: Duration = Duration::from_secs(30);
/// Our own links begin so. What others wrote is none.
const LINKED: &str = "https://docs.pipecat.ai/";

/// What the terminal takes, and what of it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extras {
    bar: bool,
    links: bool,
    note: Option<Note>,
}

/// What has the terminal notify its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    /// By the bell alone.
    Bell,
    /// The sequence of `iTerm2`, and the bell.
    Osc9,
    /// The sequence of rxvt, and the bell.
    Osc777,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct State {
    extras: Extras,
    /// The bar as it is shown.
    bar: Option<TermProgress>,
    began: Option<Instant>,
}

impl Extras {
    /// What the terminal takes that is stderr, and whether it may notify of the end.
    pub(crate) fn found(notify: bool) -> Self {
        Self {
            bar: supports_term_progress(true),
            links: supports_hyperlinks::supports_hyperlinks(),
            note: notify.then(Note::found),
        }
    }
}

impl Note {
    fn found() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let value = |name| env::var(name).unwrap_or_default();
        let term = value("TERM");
        // A multiplexer hands the bell on, and nothing else.
        if is_set("TMUX") || is_set("STY") {
            return Self::Bell;
        }
        match (value("TERM_PROGRAM").as_str(), term.as_str()) {
            ("iTerm.app" | "WezTerm" | "ghostty", _) | (_, "xterm-kitty" | "xterm-ghostty") => {
                Self::Osc9
            }
            _ if is_set("VTE_VERSION")
                || is_set("KONSOLE_VERSION")
                || term.starts_with("foot")
                || term.starts_with("rxvt-unicode") =>
            {
                Self::Osc777
            }
            _ => Self::Bell,
        }
    }

    /// What notifies of a line without anything that a terminal obeys.
    fn sequence(self, line: &str) -> String {
        match self {
            Self::Bell => "\u{7}".to_owned(),
            Self::Osc9 => format!("\u{1b}]9;pipecat-rollout: {line}\u{1b}\\\u{7}"),
            Self::Osc777 => format!("\u{1b}]777;notify;pipecat-rollout;{line}\u{1b}\\\u{7}"),
        }
    }
}

/// A rollout is followed from now on.
pub(crate) fn begin(extras: Extras) {
    {
        let mut state = state();
        state.extras = extras;
        state.began = Some(Instant::now());
        if !extras.bar {
            return;
        }
        state.draw(TermProgress::start());
    }
    // Without a thread some terminals take the bar away too soon.
    let _ = thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(redraw);
}

/// Shows in the bar whether something is wrong.
pub(super) fn on_event(event: &Event) {
    let bar = match event {
        Event::ProblemDetected { .. } | Event::InfrastructureIssue => TermProgress::error(),
        Event::ProblemResolved { .. } | Event::InfrastructureRecovered => TermProgress::start(),
        _ => return,
    };
    let mut state = state();
    if state.bar.is_some() {
        state.draw(bar);
    }
}

/// It has ended so, after so long by the clock of the report.
pub(crate) fn end(line: &str, took: Duration) {
    clear();
    let state = state();
    let took = state.began.map_or(took, |began| began.elapsed().max(took));
    if let Some(note) = state.extras.note.filter(|_| took > NOTABLE) {
        print::err_raw(note.sequence(&one_line(line).replace(';', ",")));
    }
}

/// Takes the bar away, whatever has happened.
pub(crate) fn clear() {
    if state().bar.take().is_some() {
        print::err_raw(TermProgress::remove().to_string());
    }
}

/// A line in which our own addresses are links, where the terminal takes them.
pub(super) fn linked(line: String) -> String {
    let Some(start) = line.find(LINKED).filter(|_| state().extras.links) else {
        return line;
    };
    let length = line[start..].find(' ').unwrap_or(line.len() - start);
    let (before, rest) = line.split_at(start);
    let (url, after) = rest.split_at(length);
    format!("{before}\u{1b}]8;;{url}\u{1b}\\{url}\u{1b}]8;;\u{1b}\\{after}")
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the bar again and again, until there is none.
fn redraw() {
    loop {
        thread::sleep(REDRAW);
        let state = state();
        let Some(bar) = state.bar else {
            return;
        };
        print::draw(bar.to_string());
    }
}

impl State {
    fn draw(&mut self, bar: TermProgress) {
        self.bar = Some(bar);
        print::err_raw(bar.to_string());
    }
}
