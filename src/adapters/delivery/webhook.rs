//! Webhooks: a `CloudEvent` in a POST, signed as Standard Webhooks has it.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::address::Address;
use super::secret::Secrets;
use super::{PlainText, SinkError, Undelivered, post};
use crate::core::fleet::Notice;
use crate::core::text::one_line;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A receiver of webhooks.
pub(super) struct Webhook {
    address: Address,
    client: reqwest::Client,
    secret_file: Option<PathBuf>,
}

impl Webhook {
    pub(super) fn new(
        url: &str,
        secret_file: Option<PathBuf>,
        tls: &rustls::ClientConfig,
        plain: PlainText,
    ) -> Result<Self, SinkError> {
        let address = Address::parse(url, plain)?;
        let client = post::client(&address, tls).map_err(SinkError::Client)?;
        if let Some(path) = &secret_file {
            Secrets::read(path)?;
        }
        Ok(Self {
            address,
            client,
            secret_file,
        })
    }

    /// The host, which may be shown.
    pub(super) fn host(&self) -> String {
        self.address.host()
    }

    pub(super) async fn deliver(
        &self,
        notice: &Notice,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let body = notice.cloud_event(source).to_string();
        let headers = self.headers(notice, now, &body)?;
        post::post(&self.client, &self.address, headers, body, now).await
    }

    fn headers(
        &self,
        notice: &Notice,
        now: Timestamp,
        body: &str,
    ) -> Result<HeaderMap, Undelivered> {
        let id = visible(&notice.id);
        let mut headers = HeaderMap::new();
        let mut insert = |name, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => {
                headers.insert(name, value);
                Ok(())
            }
            Err(_) => Err(Undelivered::retry(format!(
                "no header can carry the {name}"
            ))),
        };
        insert(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")?;
        insert(ID, &id)?;
        insert(TIMESTAMP, &now.as_second().to_string())?;
        if let Some(path) = &self.secret_file {
            // Read anew each time, so that a secret can be rotated.
            let secrets = Secrets::read(path)
                .map_err(|error| Undelivered::retry(one_line(&error.to_string())))?;
            insert(
                SIGNATURE,
                &secrets.sign(&id, now.as_second(), body.as_bytes()),
            )?;
        }
        Ok(headers)
    }
}

/// An id as a header can carry it: what is not visible ASCII is percent-encoded.
fn visible(id: &str) -> String {
    let mut visible = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_graphic() {
            visible.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(visible, "%{byte:02X}");
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_as_it_is_or_percent_encoded() {
        for (id, sent) in [
            ("my-agent/a.b/started", "my-agent/a.b/started"),
            ("!\"%~", "!\"%~"),
            ("a b\r\nx: é", "a%20b%0D%0Ax:%20%C3%A9"),
            ("\u{7f}\t", "%7F%09"),
        ] {
            assert_eq!(visible(id), sent);
            assert!(HeaderValue::from_str(sent).is_ok());
        }
    }
}
