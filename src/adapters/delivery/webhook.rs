//! Webhooks: a `CloudEvent` in a POST, signed as Standard Webhooks has it.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::http::{Endpoint, Network};
use super::secret::Secrets;
use super::{DeliveryError, SinkError};
use crate::core::fleet::StoredEvent;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The keys of a webhook.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(super) url: Option<String>,
    pub(super) url_file: Option<PathBuf>,
    /// The file of the secrets with which to sign.
    pub(super) secret_file: Option<PathBuf>,
}

/// A receiver of webhooks.
pub(super) struct Sink {
    endpoint: Endpoint,
    secret_file: Option<PathBuf>,
}

impl Sink {
    pub(super) fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
        let endpoint = Endpoint::new(config.url, config.url_file, network)?;
        if let Some(path) = &config.secret_file {
            Secrets::read(path).map_err(|error| SinkError::new("secret-file", error))?;
        }
        Ok(Self {
            endpoint,
            secret_file: config.secret_file,
        })
    }

    pub(super) async fn deliver(
        &self,
        event: &StoredEvent,
        source: &str,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let body = event.cloud_event(source).to_string();
        let (id, secret_file) = (event.id(), self.secret_file.clone());
        let write = move || {
            let time = now.as_second();
            let mut headers = vec![
                (
                    CONTENT_TYPE,
                    "application/cloudevents+json; charset=utf-8".to_owned(),
                ),
                (ID, id.clone()),
                (TIMESTAMP, time.to_string()),
            ];
            if let Some(path) = secret_file {
                let signatures = Secrets::read(&path)?.sign(&id, time, body.as_bytes());
                headers.push((SIGNATURE, signatures));
            }
            let headers = headers.into_iter().map(|(name, value)| {
                let value = HeaderValue::from_str(&value);
                let value = value.map_err(|_| format!("no header can carry the {name}"))?;
                Ok((name, value))
            });
            Ok((headers.collect::<Result<HeaderMap, String>>()?, body))
        };
        self.endpoint.post(now, write).await
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhook to {}", self.endpoint)
    }
}
