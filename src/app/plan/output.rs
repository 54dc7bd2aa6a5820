//! What to show, and where: chosen by switches, the terminal and the CI that it runs in.

use std::env;
use std::io::IsTerminal;
use std::path::PathBuf;

use crate::adapters::output::{
    Display, FilePlan, ResultFormat, Style, Verbosity, is_same_terminal,
};
use crate::app::cli::{OutputArgs, ProgressArg};
use crate::core::messages::Mode;

/// What to show, and where.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    pub(crate) result: ResultFormat,
    pub(crate) style: Style,
    pub(crate) display: Display,
    pub(crate) files: FilePlan,
    /// The most lines of its log to show of a deployment that is not ready.
    pub(crate) logs: usize,
}

/// What `--progress auto` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auto {
    /// What the CI can show, tty on a terminal, else plain.
    ByPlace,
    /// Plain: there is nothing to see moving.
    Plain,
}

/// The CI that it runs in, as its variables tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ci {
    Github,
    Gitlab,
    Other,
}

impl OutputPlan {
    /// What to show.
    pub(crate) fn of(args: &OutputArgs, auto: Auto, detail: Verbosity, mode: Mode) -> Self {
        let ci = Ci::found();
        let style = match style(args.progress, auto, ci, Terminal::found()) {
            Style::Tty if mode == Mode::Run => Style::Plain,
            style => style,
        };
        let mut files = FilePlan {
            report: args.report_file.clone(),
            junit: args.junit.clone(),
            dotenv: args.dotenv.clone(),
            ..FilePlan::default()
        };
        if ci == Ci::Github || style == Style::Github {
            files.github_output = path("GITHUB_OUTPUT");
            // A single look is a step on the way; it has no page.
            files.github_summary = match mode {
                Mode::Watch | Mode::Run => path("GITHUB_STEP_SUMMARY"),
                Mode::Status => None,
            };
        }
        Self {
            result: args.output,
            style,
            display: Display {
                detail,
                mode,
                on_same_terminal: args.output == ResultFormat::Text && is_same_terminal(),
            },
            files,
            logs: usize::from(args.logs),
        }
    }
}

impl OutputPlan {
    /// Shows a table of all agents instead of each by itself.
    pub(super) fn for_table(&mut self) {
        self.style = match self.style {
            Style::Github | Style::Gitlab => Style::Plain,
            style => style,
        };
        self.display.on_same_terminal = false;
        self.logs = 0;
    }
}

/// Whether stderr can show moving lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminal {
    Able,
    /// It can, but a CI records all that is drawn: only on request.
    Recorded,
    None,
}

impl Terminal {
    fn found() -> Self {
        // Where TERM is not set nothing is known of it, and it gets plain lines.
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
        if !std::io::stderr().is_terminal() || dumb {
            Terminal::None
        } else if ci {
            Terminal::Recorded
        } else {
            Terminal::Able
        }
    }
}

impl Ci {
    fn found() -> Self {
        let is_true = |name| env::var_os(name).is_some_and(|value| value == "true");
        if is_true("GITHUB_ACTIONS") {
            Ci::Github
        } else if is_true("GITLAB_CI") {
            Ci::Gitlab
        } else {
            Ci::Other
        }
    }
}

/// Whether GitHub Actions reads the log.
pub(crate) fn is_on_github() -> bool {
    Ci::found() == Ci::Github
}

fn style(asked: ProgressArg, auto: Auto, ci: Ci, terminal: Terminal) -> Style {
    match (asked, auto, ci, terminal) {
        (ProgressArg::Github, ..) | (ProgressArg::Auto, Auto::ByPlace, Ci::Github, _) => {
            Style::Github
        }
        (ProgressArg::Gitlab, ..) | (ProgressArg::Auto, Auto::ByPlace, Ci::Gitlab, _) => {
            Style::Gitlab
        }
        (ProgressArg::Auto, Auto::ByPlace, _, Terminal::Able)
        | (ProgressArg::Tty, _, _, Terminal::Able | Terminal::Recorded) => Style::Tty,
        (ProgressArg::Auto | ProgressArg::Tty | ProgressArg::Plain, ..) => Style::Plain,
        (ProgressArg::Json, ..) => Style::Json,
        (ProgressArg::None, ..) => Style::None,
    }
}

/// The file that a variable of the runner's names.
fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_of_every_wish_in_every_place() {
        use ProgressArg as Asked;
        let cis = [Ci::Github, Ci::Gitlab, Ci::Other];
        let table = |asked, auto, terminal| cis.map(|ci| style(asked, auto, ci, terminal));
        let (place, able, none) = (Auto::ByPlace, Terminal::Able, Terminal::None);
        let found = [Style::Github, Style::Gitlab, Style::Tty];
        assert_eq!(table(Asked::Auto, place, able), found);
        let recorded = Terminal::Recorded;
        let found = [Style::Github, Style::Gitlab, Style::Plain];
        assert_eq!(table(Asked::Auto, place, none), found);
        assert_eq!(table(Asked::Auto, place, recorded), found);
        for terminal in [able, recorded, none] {
            let looked = table(Asked::Auto, Auto::Plain, terminal);
            assert_eq!(looked, [Style::Plain; 3]);
            for auto in [place, Auto::Plain] {
                let tty = if terminal == none {
                    Style::Plain
                } else {
                    Style::Tty
                };
                for (asked, expected) in [
                    (Asked::Tty, tty),
                    (Asked::Plain, Style::Plain),
                    (Asked::Github, Style::Github),
                    (Asked::Gitlab, Style::Gitlab),
                    (Asked::Json, Style::Json),
                    (Asked::None, Style::None),
                ] {
                    assert_eq!(table(asked, auto, terminal), [expected; 3], "{asked:?}");
                }
            }
        }
    }
}
