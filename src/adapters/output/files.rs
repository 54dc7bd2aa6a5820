//! All files that a run leaves: prepared before the wait, written at its end, here and nowhere else.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::file::{AppendedFile, FileError, WholeFile};
use super::{junit, report_json, summary, variables};
use crate::core::rollout::Report;

/// What files to leave.
#[derive(Debug, Default)]
pub(crate) struct FilePlan {
    /// `--report-file`
    pub(crate) report: Option<PathBuf>,
    /// `--junit`
    pub(crate) junit: Option<PathBuf>,
    /// `--dotenv`
    pub(crate) dotenv: Option<PathBuf>,
    /// `GITHUB_OUTPUT`
    pub(crate) github_output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`
    pub(crate) github_summary: Option<PathBuf>,
}

/// The files of a run, each of them proven to be writable.
#[derive(Debug)]
pub(crate) struct Files {
    report: Option<WholeFile>,
    report_path: Option<PathBuf>,
    junit: Option<WholeFile>,
    dotenv: Option<WholeFile>,
    github_output: Option<AppendedFile>,
    github_summary: Option<AppendedFile>,
}

impl Files {
    /// Makes sure that all of them can be written, before there is anything to write.
    ///
    /// Those of the runner's are left out with a warning where they cannot: nobody typed them, and
    /// in a container they may be named without being mounted.
    ///
    /// # Errors
    /// For the first that was asked for by a switch and cannot be written.
    pub(crate) fn prepare(plan: &FilePlan) -> Result<Self, FileError> {
        let asked = |switch, path: &Option<PathBuf>| {
            let file = path.as_deref().map(|path| WholeFile::prepare(switch, path));
            file.transpose()
        };
        let of_runner = |variable, path: &Option<PathBuf>| {
            let file = AppendedFile::prepare(variable, path.as_deref()?);
            file.inspect_err(|error| warn!("{error}; it is left out"))
                .ok()
        };
        Ok(Self {
            report: asked("--report-file", &plan.report)?,
            report_path: plan.report.as_deref().map(absolute),
            junit: asked("--junit", &plan.junit)?,
            dotenv: asked("--dotenv", &plan.dotenv)?,
            github_output: of_runner("GITHUB_OUTPUT", &plan.github_output),
            github_summary: of_runner("GITHUB_STEP_SUMMARY", &plan.github_summary),
        })
    }

    /// Writes them all, and gives what could not be written: one never keeps the others back.
    pub(crate) fn write(self, report: &Report, random: impl FnMut() -> u64) -> Vec<FileError> {
        let report_path = self.report_path.as_deref();
        let written = [
            self.report
                .map(|file| file.write(&(report_json(report) + "\n"))),
            self.junit.map(|file| file.write(&junit::document(report))),
            self.dotenv
                .map(|file| file.write(&variables::dotenv(report))),
            self.github_output
                .map(|file| file.append(|_| variables::outputs(report, report_path, random))),
            self.github_summary
                .map(|file| file.append(|there| summary::page(report, there))),
        ];
        let failures = written.into_iter().flatten().filter_map(Result::err);
        failures.collect()
    }
}

/// The path as a later step can use it, whatever its working directory is.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
