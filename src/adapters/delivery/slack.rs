//! Slack's incoming webhooks: a message a notice, at a URL that is a secret.

mod message;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde_json::json;

use super::address::Address;
use super::secret::{BadSecretFile, BadSecrets, read_text};
use super::{PlainText, SinkError, SlackUrl, Undelivered, post};
use crate::core::fleet::Notice;
use crate::core::text::one_line;

/// An incoming webhook.
pub(super) struct Slack {
    url: SlackUrl,
    /// The host at the beginning.
    host: String,
    tls: ClientConfig,
    plain: PlainText,
}

impl Slack {
    pub(super) fn new(
        url: SlackUrl,
        tls: &ClientConfig,
        plain: PlainText,
    ) -> Result<Self, SinkError> {
        let address = match &url {
            SlackUrl::Text(text) => Address::parse(text, plain)?,
            SlackUrl::File(path) => read_address(path, plain)?,
        };
        post::client(&address, tls).map_err(SinkError::Client)?;
        Ok(Self {
            host: address.host(),
            url,
            tls: tls.clone(),
            plain,
        })
    }

    /// The host, which may be shown.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), Undelivered> {
        // A file is read anew each time, so that the URL can be rotated.
        let address = match &self.url {
            SlackUrl::Text(text) => Address::parse(text, self.plain).map_err(|e| e.to_string()),
            SlackUrl::File(path) => read_address(path, self.plain).map_err(|e| e.to_string()),
        }
        .map_err(|why| Undelivered::retry(one_line(&why)))?;
        let client = post::client(&address, &self.tls)
            .map_err(|_| Undelivered::retry("the HTTP client cannot be set up".to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = json!({ "text": message::text(notice) }).to_string();
        post::post(&client, &address, headers, body, now).await
    }
}

fn read_address(path: &std::path::Path, plain: PlainText) -> Result<Address, BadSecretFile> {
    let text = read_text(path)?;
    match text.trim() {
        "" => Err(BadSecrets::Empty.of(path)),
        url => Address::parse(url, plain).map_err(|bad| BadSecrets::Address(bad).of(path)),
    }
}
