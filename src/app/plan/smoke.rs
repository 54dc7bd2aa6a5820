//! The session that is started on a deployment once it is ready, to see that it runs.

use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{Source, text_of};
use crate::adapters::api::Credentials;
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

/// The session that is asked for, if one is.
pub(super) fn smoke(args: &SmokeArgs, source: &Source) -> Result<Option<Smoke>> {
    if !args.smoke {
        return Ok(None);
    }
    let body = match &args.smoke_body {
        None => json!({}),
        Some(path) => serde_json::from_str(&text_of("--smoke-body", path)?)
            .map_err(|error| anyhow!("--smoke-body: {} is not JSON: {error}", path.display()))?,
    };
    let key = match source {
        Source::Api { .. } => Credentials::find_public(args.smoke_key_file.as_deref())?,
        Source::Simulator { .. } => Credentials::public_of_simulator(),
    };
    Ok(Some(Smoke {
        key,
        body,
        timeout: args.smoke_timeout,
    }))
}
