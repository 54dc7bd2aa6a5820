//! Tells the world of a notice: one attempt to deliver one notice to one sink.
//!
//! When to try again, in which order and what was delivered already is for others to know.

mod address;
mod exec;
mod post;
mod retry_after;
mod secret;
mod slack;
mod webhook;

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

pub use self::address::BadAddress;
pub use self::exec::BadCommand;
use self::exec::Program;
pub use self::secret::{BadSecretFile, BadSecrets, Secrets};
use self::slack::Slack;
use self::webhook::Webhook;
use crate::core::fleet::{Failure, Notice, StoredEvent};

/// Where notices go, as it was configured.
///
/// Its `Debug` shows no secret, and of a URL the host only.
#[derive(Clone, PartialEq, Eq)]
pub enum SinkSettings {
    /// A receiver of CloudEvents, as Standard Webhooks has it.
    Webhook {
        /// Where to post.
        url: String,
        /// The file of the secrets with which to sign.
        secret_file: Option<PathBuf>,
    },
    /// An incoming webhook of Slack, or of what takes the same.
    Slack {
        /// Where to post, which is a secret.
        url: SlackUrl,
    },
    /// A program that reads the notice from its stdin.
    Exec {
        /// The program and its arguments. No shell sees them.
        command: Vec<String>,
    },
}

/// Where the URL of an incoming webhook of Slack is.
#[derive(Clone, PartialEq, Eq)]
pub enum SlackUrl {
    /// Here.
    Text(String),
    /// In this file, which is read anew for every attempt.
    File(PathBuf),
}

/// Whether a notice may leave this machine unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainText {
    /// Only to loopback.
    LoopbackOnly,
    /// To anywhere, for all on the way to read.
    Anywhere,
}

/// A receiver of notices.
///
/// It is shown by its kind and its host or program; there is no way to see more.
pub struct Sink(Kind);

enum Kind {
    Webhook(Webhook),
    Slack(Box<Slack>),
    Exec(Program),
}

/// Why a sink cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The URL is none, or would carry the notice in the open.
    #[error("cannot use the sink's URL: {0}")]
    Address(#[from] BadAddress),
    /// The file of the secrets, or of a URL that is one, is unusable.
    #[error(transparent)]
    SecretFile(#[from] BadSecretFile),
    /// There is no program to run.
    #[error("cannot use the sink's command: {0}")]
    Command(#[from] BadCommand),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the sink's HTTP client")]
    Client(#[source] reqwest::Error),
}

/// A notice that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// Why not: one line, harmless, without secrets and URLs.
    pub why: String,
    /// What follows from it.
    pub then: Then,
}

/// What follows from an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Another attempt may succeed.
    Retry(Failure),
    /// The receiver wants no more of them.
    Gone,
}

impl Sink {
    /// A sink, checked as far as it can be without sending anything. `tls` says whom to trust.
    ///
    /// # Errors
    /// When its settings cannot work: a bad URL, an unusable secret, no program.
    pub fn new(
        settings: SinkSettings,
        tls: &rustls::ClientConfig,
        plain: PlainText,
    ) -> Result<Self, SinkError> {
        Ok(Self(match settings {
            SinkSettings::Webhook { url, secret_file } => {
                Kind::Webhook(Webhook::new(&url, secret_file, tls, plain)?)
            }
            SinkSettings::Slack { url } => Kind::Slack(Box::new(Slack::new(url, tls, plain)?)),
            SinkSettings::Exec { command } => Kind::Exec(Program::new(command)?),
        }))
    }

    /// Makes one attempt, at `now`, to deliver a notice; `source` says who tells it, as a URI.
    ///
    /// Dropped before its end, it leaves no program behind.
    ///
    /// # Errors
    /// When the sink did not take the notice.
    pub async fn deliver(
        &self,
        event: &StoredEvent,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        self.deliver_notice(&Notice::from(event), source, now).await
    }

    async fn deliver_notice(
        &self,
        notice: &Notice,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        match &self.0 {
            Kind::Webhook(webhook) => webhook.deliver(notice, source, now).await,
            Kind::Slack(slack) => slack.deliver(notice, now).await,
            Kind::Exec(program) => program.deliver(notice, source).await,
        }
    }
}

impl Undelivered {
    /// A failure of which nothing is known but that another attempt may succeed.
    fn retry(why: String) -> Self {
        Self {
            why,
            then: Then::Retry(Failure::Unavailable { retry_after: None }),
        }
    }
}

impl Undelivered {
    /// It took too long.
    fn timed_out(why: String) -> Self {
        Self {
            why,
            then: Then::Retry(Failure::TimedOut),
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Webhook(webhook) => write!(f, "webhook to {}", webhook.host()),
            Kind::Slack(slack) => write!(f, "Slack at {}", slack.host()),
            Kind::Exec(program) => write!(f, "program {}", program.name()),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({self})")
    }
}

impl fmt::Debug for SinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkSettings::Webhook { url, secret_file } => f
                .debug_struct("Webhook")
                .field("host", &address::host_of(url))
                .field("secret_file", secret_file)
                .finish_non_exhaustive(),
            SinkSettings::Slack { url } => f.debug_struct("Slack").field("url", url).finish(),
            SinkSettings::Exec { command } => f
                .debug_struct("Exec")
                .field("program", &command.first())
                .finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for SlackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlackUrl::Text(url) => f
                .debug_struct("Text")
                .field("host", &address::host_of(url))
                .finish_non_exhaustive(),
            SlackUrl::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
