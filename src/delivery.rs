//! One attempt to deliver one notice to one sink. When it is tried again, and in which order, is
//! decided elsewhere.

mod endpoint;
mod exec;
mod slack;
#[cfg(test)]
mod tests;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ClientConfig;

pub use self::endpoint::{BadAddress, PlainText};
use self::exec::Program;
use self::slack::Slack;
pub use self::webhook::BadSecret;
use self::webhook::Webhook;
use crate::fleet::Notice;

/// What a sink is. An address may be a secret, and is not shown.
pub enum SinkSettings {
    /// A receiver of CloudEvents over HTTP, signed as Standard Webhooks has it.
    Webhook {
        /// Where it is.
        url: String,
        /// The file with the secrets that sign, one a line; read anew for every attempt.
        secret_file: Option<PathBuf>,
    },
    /// An incoming webhook of Slack's.
    Slack {
        /// Where it is.
        url: String,
    },
    /// A program, which is given the event on stdin.
    Exec {
        /// The program and its arguments; no shell reads them.
        command: Vec<String>,
    },
}

/// Where notices are delivered to.
pub struct Sink(Kind);

enum Kind {
    Webhook(Webhook),
    Slack(Slack),
    Exec(Program),
}

/// Why a sink cannot be delivered to.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Its address cannot be one.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Its secrets cannot be used.
    #[error(transparent)]
    Secret(#[from] BadSecret),
    /// No program is named.
    #[error("the command is empty")]
    NoProgram,
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Why, in a line that is harmless and gives no secret away.
    pub why: String,
    /// What the receiver wants to be done about it.
    pub then: Then,
}

/// What a receiver wants to be done after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Try again, perhaps after no less than this.
    Retry {
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
    /// Nothing: it wants no more.
    Gone,
}

impl Sink {
    /// Checks all that can be checked before there is something to deliver. `tls` says which
    /// receivers are trusted.
    ///
    /// # Errors
    /// When the settings make no sense, or a file that they name cannot be used.
    pub fn new(
        settings: SinkSettings,
        tls: &ClientConfig,
        plain_text: PlainText,
    ) -> Result<Self, SinkError> {
        let kind = match settings {
            SinkSettings::Webhook { url, secret_file } => {
                Kind::Webhook(Webhook::new(&url, secret_file, tls, plain_text)?)
            }
            SinkSettings::Slack { url } => Kind::Slack(Slack::new(&url, tls, plain_text)?),
            SinkSettings::Exec { command } => Kind::Exec(Program::new(command)?),
        };
        Ok(Self(kind))
    }

    /// Delivers a notice, at `now`; `source` says who tells it, as a URI.
    ///
    /// # Errors
    /// When it did not arrive, as far as can be known.
    pub async fn deliver(
        &self,
        notice: &Notice,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        match &self.0 {
            Kind::Webhook(webhook) => webhook.deliver(notice, source, now).await,
            Kind::Slack(slack) => slack.deliver(notice).await,
            Kind::Exec(program) => program.deliver(notice, source).await,
        }
    }
}

impl Undelivered {
    fn retry(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            then: Then::Retry { after: None },
        }
    }
}

impl fmt::Debug for SinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhook { .. } => "Webhook",
            Self::Slack { .. } => "Slack",
            Self::Exec { .. } => "Exec",
        })
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Webhook(_) => "Sink(webhook)",
            Kind::Slack(_) => "Sink(slack)",
            Kind::Exec(_) => "Sink(exec)",
        })
    }
}
