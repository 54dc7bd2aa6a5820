//! The session that is started on a deployment once it is ready, to see that it runs.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::Source;
use crate::adapters::api::{Credentials, CredentialsError};
use crate::app::cli::SmokeArgs;

/// A session to start.
#[derive(Debug)]
pub(crate) struct Smoke {
    pub(crate) key: Credentials,
    /// What the bot is started with.
    pub(crate) body: Value,
    /// How long all of it may take.
    pub(crate) timeout: Duration,
}

/// Why no session can be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SmokeError {
    #[error(transparent)]
    Key(#[from] CredentialsError),
    #[error("--smoke-body: cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--smoke-body: {} is not JSON: {error}", path.display())]
    NotJson {
        path: PathBuf,
        error: serde_json::Error,
    },
    #[error("--smoke-timeout must be longer than zero")]
    NoTime,
}

/// The session that is asked for, if one is.
pub(super) fn smoke(args: &SmokeArgs, source: &Source) -> Result<Option<Smoke>, SmokeError> {
    if !args.smoke {
        return Ok(None);
    }
    if args.smoke_timeout.is_zero() {
        return Err(SmokeError::NoTime);
    }
    let body = match &args.smoke_body {
        None => json!({}),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|source| SmokeError::Unreadable {
                path: path.clone(),
                source,
            })?;
            serde_json::from_str(&text).map_err(|error| SmokeError::NotJson {
                path: path.clone(),
                error,
            })?
        }
    };
    let key = match source {
        Source::Api { .. } => Credentials::find_public(args.smoke_key_file.as_deref())?,
        Source::Simulator { .. } => Credentials::of_simulator(),
    };
    Ok(Some(Smoke {
        key,
        body,
        timeout: args.smoke_timeout,
    }))
}
