//! What to show, and where: chosen by switches, the terminal and the CI that it runs in.

use std::env;
use std::io::IsTerminal;
use std::path::PathBuf;

use super::path_in;
use crate::adapters::output::terminal::Extras;
use crate::adapters::output::{
    Display, FileKind, ResultFormat, Style, Verbosity, is_same_terminal,
};
use crate::app::cli::OutputArgs;
use crate::core::messages::Mode;

/// The most lines of its log to hand over of a deployment that is not ready.
const LOG_LINES: usize = 25;

/// What to show, and where.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    pub(crate) result: ResultFormat,
    pub(crate) style: Style,
    pub(crate) display: Display,
    /// What the terminal shows beside the lines.
    pub(crate) extras: Extras,
    pub(crate) files: Vec<(FileKind, PathBuf)>,
    /// The most lines of its log to show of a deployment that is not ready.
    pub(crate) logs: usize,
}

impl OutputPlan {
    /// What to show.
    pub(crate) fn of(args: &OutputArgs, detail: Verbosity, mode: Mode) -> Self {
        let ci = style_of_ci();
        let terminal = Terminal::found();
        let shown = style(args.progress, ci, terminal);
        let style = match shown {
            Style::Tty if mode == Mode::Run => Style::Plain,
            style => style,
        };
        let lasts = mode != Mode::Status && detail == Verbosity::All;
        let extras = if shown == Style::Tty && terminal == Terminal::Able && lasts {
            Extras::found(!args.no_notify)
        } else {
            Extras::default()
        };
        let mut files = vec![
            (FileKind::Report, args.report_file.clone()),
            (FileKind::Junit, args.junit.clone()),
            (FileKind::Dotenv, args.dotenv.clone()),
        ];
        if [ci, Some(style)].contains(&Some(Style::Github)) {
            files.push((FileKind::GithubOutput, path_in("GITHUB_OUTPUT")));
            // A single check is a step on the way; it has no page.
            if mode != Mode::Status {
                files.push((FileKind::GithubSummary, path_in("GITHUB_STEP_SUMMARY")));
            }
        }
        let files = files
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path?)));
        Self {
            result: args.output,
            style,
            display: Display {
                detail,
                mode,
                on_same_terminal: args.output == ResultFormat::Text && is_same_terminal(),
            },
            extras,
            files: files.collect(),
            logs: args.logs,
        }
    }

    /// Shows and writes nothing: what comes of it is handed over in another way.
    pub(super) fn silent(mode: Mode) -> Self {
        Self {
            result: ResultFormat::Json,
            style: Style::None,
            display: Display {
                detail: Verbosity::Ending,
                mode,
                on_same_terminal: false,
            },
            extras: Extras::default(),
            files: Vec::new(),
            logs: LOG_LINES,
        }
    }

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

/// The style of the CI that it runs in, by its variables.
fn style_of_ci() -> Option<Style> {
    let is_true = |name| env::var_os(name).is_some_and(|value| value == "true");
    let github = is_true("GITHUB_ACTIONS").then_some(Style::Github);
    github.or_else(|| is_true("GITLAB_CI").then_some(Style::Gitlab))
}

/// Whether GitHub Actions reads the log.
pub(crate) fn is_on_github() -> bool {
    style_of_ci() == Some(Style::Github)
}

fn style(asked: Option<Style>, ci: Option<Style>, terminal: Terminal) -> Style {
    match (asked, terminal) {
        (Some(Style::Tty), Terminal::None) => Style::Plain,
        (Some(style), _) => style,
        (None, Terminal::Able) => ci.unwrap_or(Style::Tty),
        (None, Terminal::Recorded | Terminal::None) => ci.unwrap_or(Style::Plain),
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantNames as _;

    use super::*;

    #[test]
    fn the_style_of_every_wish_in_every_place() {
        let cis = [Some(Style::Github), Some(Style::Gitlab), None];
        let table = |asked, terminal| cis.map(|ci| style(asked, ci, terminal));
        let (able, recorded, none) = (Terminal::Able, Terminal::Recorded, Terminal::None);
        let found = [Style::Github, Style::Gitlab, Style::Tty];
        assert_eq!(table(None, able), found);
        let found = [Style::Github, Style::Gitlab, Style::Plain];
        assert_eq!(table(None, none), found);
        assert_eq!(table(None, recorded), found);
        for asked in Style::VARIANTS.iter().map(|word| word.parse().unwrap()) {
            assert_eq!(table(Some(asked), able), [asked; 3]);
            assert_eq!(table(Some(asked), recorded), [asked; 3]);
            let expected = if asked == Style::Tty {
                Style::Plain
            } else {
                asked
            };
            assert_eq!(table(Some(asked), none), [expected; 3]);
        }
    }
}
