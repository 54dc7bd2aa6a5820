//! The files that a run leaves: what is in each, and its name where it cannot be written.

use std::path::PathBuf;

use anyhow::{Error, Result, bail};
use tracing::warn;

use super::file::OutputFile;
use super::{junit, report_json, summary, variables};
use crate::core::rollout::Report;

/// A file to leave.
///
/// Its word is the option or the variable that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub(crate) enum FileKind {
    #[strum(to_string = "--report-file")]
    Report,
    #[strum(to_string = "--junit")]
    Junit,
    #[strum(to_string = "--dotenv")]
    Dotenv,
    #[strum(to_string = "GITHUB_OUTPUT")]
    GithubOutput,
    #[strum(to_string = "GITHUB_STEP_SUMMARY")]
    GithubSummary,
}

/// The files of a run, each of them proven to be writable.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<(FileKind, OutputFile)>,
    /// Where the report will be, as a later step can use it whatever its working directory is.
    report_path: Option<PathBuf>,
}

impl Files {
    /// Makes sure that all of them can be written, before there is anything to write.
    ///
    /// Those of the runner's are left out with a warning where they cannot: nobody typed them, and
    /// in a container they may be named without being mounted.
    ///
    /// # Errors
    /// For the first that was asked for by an option and cannot be written, or would be written over by
    /// another one.
    pub(crate) fn prepare(plan: &[(FileKind, PathBuf)]) -> Result<Self> {
        let mut files = Vec::new();
        let mut report_path = None;
        for (kind, path) in plan {
            let (kind, name) = (*kind, kind.into());
            match kind {
                FileKind::GithubOutput | FileKind::GithubSummary => {
                    match OutputFile::to_append(name, path) {
                        Ok(file) => files.push((kind, file)),
                        Err(error) => warn!("{error}; it is left out"),
                    }
                    continue;
                }
                FileKind::Report => {
                    let absolute = std::path::absolute(path);
                    report_path = Some(absolute.unwrap_or_else(|_| path.clone()));
                }
                FileKind::Junit | FileKind::Dotenv => {}
            }
            files.push((kind, OutputFile::to_replace(name, path)?));
        }
        for (at, (kind, file)) in files.iter().enumerate() {
            if let Some((other, _)) = files[..at].iter().find(|(_, it)| it.overwrites(file)) {
                let (first, second): (&str, &str) = (other.into(), kind.into());
                bail!("{first} and {second} name the same file; give each a file of its own");
            }
        }
        Ok(Self { files, report_path })
    }

    /// Writes them all, and gives what could not be written: one never keeps the others back.
    pub(crate) fn write(self, report: &Report, mut random: impl FnMut() -> u64) -> Vec<Error> {
        let report_path = self.report_path.as_deref();
        let written = self.files.into_iter().map(|(kind, file)| {
            file.write(|there| match kind {
                FileKind::Report => report_json(report) + "\n",
                FileKind::Junit => junit::document(report),
                FileKind::Dotenv => variables::dotenv(report),
                FileKind::GithubOutput => variables::outputs(report, report_path, &mut random),
                FileKind::GithubSummary => summary::page(report, there),
            })
        });
        written.filter_map(Result::err).collect()
    }
}
