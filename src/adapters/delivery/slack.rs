//! Slack's incoming webhooks: a message per event, at a URL that is a secret.

mod message;

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::http::{Endpoint, Network, Request};
use super::{DeliveryError, SinkError};
use crate::core::messages::Notification;

/// The keys of an incoming webhook of Slack, or of a service that takes the same.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    url: Option<String>,
    url_file: Option<PathBuf>,
}

/// An incoming webhook.
pub(super) struct Sink(Endpoint);

impl Sink {
    pub(super) fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
        Endpoint::new(config.url, config.url_file, &Value::Null, network).map(Self)
    }

    pub(super) async fn deliver(
        &self,
        what: Notification<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let request = Request::post(message::body(what).to_string());
        self.0.send(now, move || Ok(request)).await
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slack at {}", self.0)
    }
}
