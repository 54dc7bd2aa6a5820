//! Everything that can keep a command from giving a verdict.

use std::io;

use crate::adapters::store::StoreError;
use crate::app::watch::http::HttpError;

/// Why a command gave no verdict, or could not show it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What was asked for cannot be done.
    #[error(transparent)]
    Usage(#[from] anyhow::Error),
    /// The sidecar's store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sidecar's endpoints cannot be served.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The sidecar has ended, and its store could not be written to the end.
    #[error("what happened last could not be written down, and is lost: {0}")]
    Unsaved(String),
    /// A sink did not take what it was sent to try it.
    #[error("the sink {0:?} did not take all of it")]
    SinkFailed(String),
    /// The sidecar does not know what it is there to know, or cannot be asked.
    #[error("not healthy: {0}")]
    Unhealthy(String),
    /// Stdout cannot be written.
    #[error("cannot write to stdout")]
    Print(#[source] io::Error),
    /// The runtime or the signal handlers cannot be set up.
    #[error("cannot set up the runtime")]
    Setup(#[source] io::Error),
    /// A task ended without a result: a fault of ours.
    #[error("internal error: a watch ended without a verdict; please report this")]
    Lost,
}

/// An error and its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        // Some errors already say what caused them.
        if !line.contains(&words) {
            line = format!("{line}: {words}");
        }
        source = error.source();
    }
    line
}
