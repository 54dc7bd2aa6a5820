//! Sinks: one attempt to deliver one event to one receiver. When to try again, and in which order, is
//! decided elsewhere.
//!
//! A new kind of sink is a file with a `Config` and a `Sink`, its `mod`, and a line in the list below.

mod address;
mod exec;
mod heartbeat;
mod http;
mod secret;
mod slack;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

pub(crate) use self::http::Network;
pub use self::secret::Secrets;
pub(crate) use self::secret::read_text;
use crate::core::fleet::DeliveryFailure;
use crate::core::messages::Notification;
use crate::core::text::{one_line, short_duration};

/// How long an attempt may take unless it is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// The most that can be configured.
const MAX_TIMEOUT: Duration = Duration::from_mins(5);

/// Declares the kinds of sinks: each has its module, and its word in the configuration.
macro_rules! sinks {
    ($($kind:ident = $word:literal in $module:ident,)*) => {
        /// How a sink delivers: its `kind` in the configuration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub(crate) enum Kind {
            $(#[serde(rename = $word)] $kind,)*
        }

        /// The keys that only sinks of one kind have. They may hold secrets, so that they cannot be shown.
        #[derive(Clone, PartialEq, Eq)]
        pub(crate) enum Config {
            $($kind($module::Config),)*
        }

        enum AnySink {
            $($kind($module::Sink),)*
        }

        impl Config {
            /// Reads the keys of a sink of this kind.
            pub(crate) fn read<'de, D: Deserializer<'de>>(kind: Kind, keys: D) -> Result<Self, D::Error> {
                match kind {
                    $(Kind::$kind => $module::Config::deserialize(keys).map(Config::$kind),)*
                }
            }
        }

        impl AnySink {
            fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
                match config {
                    $(Config::$kind(config) => $module::Sink::new(config, network).map(AnySink::$kind),)*
                }
            }

            async fn deliver(&self, what: Notification<'_>, now: Timestamp) -> Result<(), DeliveryError> {
                match self {
                    $(AnySink::$kind(sink) => sink.deliver(what, now).await,)*
                }
            }
        }

        impl fmt::Display for AnySink {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(AnySink::$kind(sink) => sink.fmt(f),)*
                }
            }
        }
    };
}

sinks! {
    Webhook = "webhook" in webhook,
    Slack = "slack" in slack,
    Exec = "exec" in exec,
    Heartbeat = "heartbeat" in heartbeat,
}

/// A receiver of events.
///
/// It is shown by its kind and its host or program; nothing shows more.
pub(crate) struct Sink {
    config: Config,
    kind: AnySink,
    network: Network,
    timeout: Duration,
}

/// Why a sink cannot be used, in one line that names the key and repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub(crate) struct SinkError {
    /// The key of the configuration that is wrong.
    pub(crate) key: &'static str,
    reason: String,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct DeliveryError {
    /// Why: one harmless line, without secrets and URLs.
    pub(crate) reason: String,
    /// What it means.
    pub(crate) failure: DeliveryFailure,
}

impl Config {
    /// The keys of a webhook that gets `CloudEvents`.
    pub(crate) fn webhook(url: String, secret_file: Option<PathBuf>) -> Self {
        Self::Webhook(webhook::Config::cloud_events(url, secret_file))
    }
}

impl Sink {
    /// A sink, checked as far as it can be without sending anything. An attempt may take `timeout`.
    ///
    /// # Errors
    /// When it cannot work: an invalid URL, an unusable secret, no program.
    pub(crate) fn new(
        config: Config,
        timeout: Option<Duration>,
        network: &Network,
    ) -> Result<Self, SinkError> {
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        if timeout > MAX_TIMEOUT {
            let reason = format!("{} is the most", short_duration(MAX_TIMEOUT));
            return Err(SinkError::new("timeout", reason));
        }
        let kind = AnySink::new(config.clone(), network)?;
        Ok(Self {
            config,
            kind,
            network: network.clone(),
            timeout,
        })
    }

    /// Whether both are configured in the same way: then what is known of one is true of the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.config == other.config
            && self.timeout == other.timeout
            && self.network.is_same(&other.network)
    }

    /// How often it is sent a sign of life, if that is what it gets, and no events.
    pub(crate) fn every(&self) -> Option<Duration> {
        match &self.config {
            Config::Heartbeat(config) => Some(config.every()),
            _ => None,
        }
    }

    /// Whether what opens and closes incidents is sent to it in two ways, so that no group can be.
    pub(crate) fn distinguishes_incidents(&self) -> bool {
        matches!(&self.config, Config::Webhook(config) if config.on_close.is_some())
    }

    /// Makes one attempt, at `now`, to deliver an event or a group.
    ///
    /// Dropped before its end, it leaves no program behind.
    ///
    /// # Errors
    /// When the sink did not take the event.
    pub(crate) async fn deliver(
        &self,
        what: Notification<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let attempt = self.kind.deliver(what, now);
        timeout(self.timeout, attempt).await.unwrap_or_else(|_| {
            Err(DeliveryError {
                reason: format!("it took longer than {}", short_duration(self.timeout)),
                failure: DeliveryFailure::TimedOut,
            })
        })
    }
}

impl SinkError {
    fn new(key: &'static str, reason: impl fmt::Display) -> Self {
        let reason = one_line(&reason.to_string());
        Self { key, reason }
    }
}

impl DeliveryError {
    /// The receiver, or the way to it, does not work at the moment.
    fn unavailable(reason: &str) -> Self {
        Self {
            reason: one_line(reason),
            failure: DeliveryFailure::Unavailable { retry_after: None },
        }
    }

    /// This cannot be sent to the receiver, now or later.
    fn unsendable(reason: &str) -> Self {
        Self {
            reason: one_line(reason),
            failure: DeliveryFailure::Unsendable,
        }
    }

    /// The receiver works, and does not want this.
    fn refused(reason: &str) -> Self {
        Self {
            reason: one_line(reason),
            failure: DeliveryFailure::Refused,
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({self})")
    }
}

#[cfg(test)]
mod tests;
