//! A sign of life for a dead man's switch, which raises the alarm when it stays away.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::http::{Endpoint, Network, Request, method};
use super::{DeliveryError, SinkError};
use crate::core::messages::Notification;
use crate::core::text::parse_duration;

/// How often it is sent unless that is configured.
const EVERY: Duration = Duration::from_mins(1);
/// As often, and as seldom, as it can be configured.
const RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// The keys of a heartbeat.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    url: Option<String>,
    url_file: Option<PathBuf>,
    method: Option<String>,
    #[serde(default, deserialize_with = "duration")]
    every: Option<Duration>,
}

/// A dead man's switch.
pub(super) struct Sink {
    endpoint: Endpoint,
    method: Method,
}

impl Config {
    pub(super) fn every(&self) -> Duration {
        self.every.unwrap_or(EVERY)
    }
}

impl Sink {
    pub(super) fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
        if !RANGE.contains(&config.every()) {
            return Err(SinkError::new("every", "it has to be from 1s to 24h"));
        }
        Ok(Self {
            method: method(config.method.as_deref().unwrap_or("GET"))?,
            endpoint: Endpoint::new(config.url, config.url_file, &Value::Null, network)?,
        })
    }

    pub(super) async fn deliver(
        &self,
        _: Notification<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let request = Request {
            method: self.method.clone(),
            ..Request::default()
        };
        self.endpoint.send(now, move || Ok(request)).await
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "heartbeat to {}", self.endpoint)
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let duration = parse_duration(&text).map(Some);
    duration.map_err(serde::de::Error::custom)
}
