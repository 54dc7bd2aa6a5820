//! How many of many agents have been checked: a status line on a terminal, else a line now and then.

use std::time::{Duration, Instant};

use super::{Style, print, tty};

/// How long nothing is said where lines stay.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The count.
pub(crate) struct Counted {
    style: Style,
    agents: usize,
    checked: usize,
    said_at: Instant,
}

impl Counted {
    pub(super) fn begin(style: Style, agents: usize) -> Self {
        let counted = Self {
            style,
            agents,
            checked: 0,
            said_at: Instant::now(),
        };
        if style == Style::Tty {
            tty::begin_line(counted.words());
        }
        counted
    }

    /// One more has been checked.
    pub(super) fn end(&mut self) {
        self.checked += 1;
        let is_last = self.checked == self.agents;
        if self.style == Style::Tty {
            tty::set_line((!is_last).then(|| self.words()));
        } else if !is_last && self.said_at.elapsed() >= BETWEEN_LINES {
            self.said_at = Instant::now();
            print::err(&self.words());
        }
    }

    fn words(&self) -> String {
        format!("{} of {} agents checked", self.checked, self.agents)
    }
}
