//! Slack's incoming webhooks: a message per event, at a URL that is a secret.

mod message;

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::http::{Endpoint, Network};
use super::{DeliveryError, SinkError};
use crate::core::fleet::StoredEvent;

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
        Endpoint::new(config.url, config.url_file, network).map(Self)
    }

    pub(super) async fn deliver(
        &self,
        event: &StoredEvent,
        _source: &str,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let body = json!({ "text": message::text(event) }).to_string();
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let headers = HeaderMap::from_iter([content_type]);
        self.0.post(now, move || Ok((headers, body))).await
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slack at {}", self.0)
    }
}
