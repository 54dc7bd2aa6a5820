//! Signed webhooks, as <https://www.standardwebhooks.com> has it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use rustls::ClientConfig;

use super::endpoint::{Endpoint, PlainText};
use super::{SinkError, Undelivered};
use crate::fleet::Notice;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why secrets cannot be used. They are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum BadSecret {
    /// Their file cannot be read.
    #[error("secret-file: cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file holds none.
    #[error("secret-file: {} is empty; it holds whsec_ and 24 to 64 bytes in base64", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line of the file is none.
    #[error(
        "secret-file: line {line} of {} is no secret; it is whsec_ and 24 to 64 bytes in base64",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
}

/// A receiver of signed CloudEvents.
pub(super) struct Webhook {
    endpoint: Endpoint,
    secret_file: Option<PathBuf>,
}

impl Webhook {
    pub(super) fn new(
        url: &str,
        secret_file: Option<PathBuf>,
        tls: &ClientConfig,
        plain_text: PlainText,
    ) -> Result<Self, SinkError> {
        let endpoint = Endpoint::new(url, tls, plain_text)?;
        if let Some(path) = &secret_file {
            read_secrets(path)?;
        }
        Ok(Self {
            endpoint,
            secret_file,
        })
    }

    pub(super) async fn deliver(
        &self,
        notice: &Notice,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        // Read every time, so that a secret can be exchanged while the sidecar runs.
        let secrets = match &self.secret_file {
            Some(path) => read_secrets(path),
            None => Ok(Vec::new()),
        };
        let secrets = secrets.map_err(|error| Undelivered::retry(error.to_string()))?;
        let body = notice.cloud_event(source).to_string();
        let headers = headers(&notice.id, now, &body, &secrets);
        self.endpoint.post(headers, body).await
    }
}

/// What tells the receiver which message this is, and that it is ours.
fn headers(id: &str, now: Timestamp, body: &str, secrets: &[hmac::Key]) -> HeaderMap {
    let id = header_text(id);
    let timestamp = now.as_second().to_string();
    let signed = format!("{id}.{timestamp}.{body}");
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| hmac::sign(secret, signed.as_bytes()))
        .map(|tag| format!("v1,{}", STANDARD.encode(tag)))
        .collect();
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).expect("all of it is visible ASCII");
        headers.insert(HeaderName::from_static(name), value);
    };
    set("webhook-id", &id);
    set("webhook-timestamp", &timestamp);
    if !signatures.is_empty() {
        set("webhook-signature", &signatures.join(" "));
    }
    let content_type = "application/cloudevents+json; charset=utf-8";
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers
}

/// An id as a header can carry it: what is not visible ASCII is percent-encoded, and so is the
/// percent sign, so that two ids never become one.
fn header_text(id: &str) -> String {
    let escape = |byte: u8| match byte {
        b'%' | 0..=b' ' | 0x7f.. => format!("%{byte:02X}"),
        _ => char::from(byte).to_string(),
    };
    id.bytes().map(escape).collect()
}

/// The secrets of a file, one a line.
fn read_secrets(path: &Path) -> Result<Vec<hmac::Key>, BadSecret> {
    let text = fs::read_to_string(path).map_err(|source| BadSecret::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let secrets: Vec<hmac::Key> = lines
        .map(|(place, line)| {
            secret(line.trim()).ok_or_else(|| BadSecret::Malformed {
                path: path.to_owned(),
                line: place + 1,
            })
        })
        .collect::<Result<_, _>>()?;
    if secrets.is_empty() {
        return Err(BadSecret::Empty {
            path: path.to_owned(),
        });
    }
    Ok(secrets)
}

fn secret(text: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let fits = SECRET_BYTES.contains(&bytes.len());
    fits.then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn signature(secrets: &str, id: &str, body: &str) -> String {
        let (_folder, path) = file(secrets);
        let secrets = read_secrets(&path).unwrap();
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let headers = headers(id, now, body, &secrets);
        headers["webhook-signature"].to_str().unwrap().to_owned()
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_example_of_the_standard_is_signed_as_there() {
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(SECRET, id, body), expected);
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let both = signature(&format!("\n {SECRET} \n\n{other}\n"), id, body);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, expected);
        assert_eq!(second, signature(other, id, body));
    }

    #[test]
    fn an_id_of_any_characters_fits_the_header_and_stays_one_of_its_own() {
        for (id, expected) in [
            ("a/old..new/started", "a/old..new/started"),
            ("ä b\r\nx: y", "%C3%A4%20b%0D%0Ax:%20y"),
            ("100%", "100%25"),
        ] {
            let headers = headers(id, Timestamp::UNIX_EPOCH, "{}", &[]);
            assert_eq!(headers["webhook-id"], expected);
            assert_eq!(headers["webhook-timestamp"], "0");
            assert!(!headers.contains_key("webhook-signature"));
        }
    }

    #[test]
    fn what_is_no_secret_is_named_and_not_repeated() {
        for (text, told) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("whsec_", "line 1 of "),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "line 1 of "),
            ("whsec_?fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "line 1 of "),
            ("\nwhsec_c2hvcnQ=", "line 2 of "),
        ] {
            let (_folder, path) = file(text);
            let error = read_secrets(&path).unwrap_err().to_string();
            assert!(error.contains(told), "{text:?}: {error}");
            assert!(
                !error.contains("KQ9r8") && !error.contains("c2hv"),
                "{error}"
            );
        }
        let missing = read_secrets(Path::new("/no/such/file")).unwrap_err();
        assert!(matches!(missing, BadSecret::Unreadable { .. }));
    }
}
