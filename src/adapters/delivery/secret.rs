//! What must not be seen: the files that hold it, and the signatures that are made with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// The length of a secret, decoded, as Standard Webhooks has it.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;
/// The most that is read of a file: more is no secret, but a mistake.
const MAX_FILE: u64 = 64 * 1024;

/// The secrets with which a webhook is signed: one, or several while they are rotated.
#[derive(Debug)]
pub struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Reads the secrets of a file, one a line; blank lines are passed over.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        Self::parse(&read_text(path)?).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads secrets, one a line; blank lines are passed over.
    ///
    /// # Errors
    /// When there is none, or a line is none. What the line holds is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).zip(1..);
        let keys = lines
            .filter(|(line, _)| !line.is_empty())
            .map(|(line, number)| {
                let secret = line
                    .strip_prefix(PREFIX)
                    .ok_or_else(|| format!("line {number} does not begin with {PREFIX}"))?;
                let secret = STANDARD
                    .decode(secret)
                    .map_err(|_| format!("line {number} is not base64 after {PREFIX}"))?;
                if !LENGTH.contains(&secret.len()) {
                    let (length, min, max) = (secret.len(), LENGTH.start(), LENGTH.end());
                    return Err(format!(
                        "the secret in line {number} has {length} bytes; {min} to {max} are needed"
                    ));
                }
                Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("it holds nothing".to_owned());
        }
        Ok(Self(keys))
    }

    /// The signatures of a message, one a secret, as the header lists them.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut content = format!("{id}.{timestamp}.").into_bytes();
        content.extend_from_slice(body);
        let signatures = self.0.iter().map(|key| {
            let signature = hmac::sign(key, &content);
            format!("v1,{}", STANDARD.encode(signature))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// Reads a small file of text.
///
/// # Errors
/// In one line that names the file.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let unusable = |why: &dyn fmt::Display| format!("cannot read {}: {why}", path.display());
    let unreadable = |error: io::Error| unusable(&error);
    // Opening a pipe would wait for whoever writes to it.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(unusable(&"it is not a file"));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err(unusable(&format_args!(
            "it is larger than {MAX_FILE} bytes"
        )));
    }
    String::from_utf8(text).map_err(|_| unusable(&"it is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(secrets: &Secrets) -> String {
        secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        )
    }

    fn secret_of(length: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; length]))
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secrets = Secrets::parse(SECRET).unwrap();
        assert_eq!(sign(&secrets), SIGNATURE);
    }

    #[test]
    fn while_secrets_are_rotated_each_signs() {
        let other = secret_of(32);
        let both = Secrets::parse(&format!("\n  {other}\r\n\n{SECRET}\n\n")).unwrap();
        let alone = sign(&Secrets::parse(&other).unwrap());
        assert_eq!(sign(&both), format!("{alone} {SIGNATURE}"));
    }

    #[test]
    fn malformed_secrets_are_refused_and_not_repeated() {
        for length in [24, 64] {
            assert!(Secrets::parse(&secret_of(length)).is_ok(), "{length}");
        }
        for (text, fault) in [
            (String::new(), "it holds nothing"),
            (" \n\n".to_owned(), "it holds nothing"),
            (
                SECRET.replace(PREFIX, ""),
                "line 1 does not begin with whsec_",
            ),
            (
                format!("{SECRET}\n\n{SECRET}*"),
                "line 3 is not base64 after whsec_",
            ),
            (
                secret_of(23),
                "the secret in line 1 has 23 bytes; 24 to 64 are needed",
            ),
            (
                secret_of(65),
                "the secret in line 1 has 65 bytes; 24 to 64 are needed",
            ),
        ] {
            let error = Secrets::parse(&text).unwrap_err();
            assert_eq!(error, fault);
        }
    }

    #[test]
    fn secrets_cannot_be_shown() {
        let secrets = Secrets::parse(SECRET).unwrap();
        let shown = format!("{secrets:?}");
        assert_eq!(shown, "Secrets([Key { algorithm: SHA256 }])");
    }

    #[test]
    fn only_small_files_of_text_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let why = |path: &Path| {
            let error = read_text(path).unwrap_err();
            let start = format!("cannot read {}: ", path.display());
            error.strip_prefix(&start).unwrap().to_owned()
        };
        assert!(why(&path).starts_with("No such file"));
        assert_eq!(why(folder.path()), "it is not a file");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(why(&path), "it is not text");
        let most = usize::try_from(MAX_FILE).unwrap();
        std::fs::write(&path, vec![b' '; most + 1]).unwrap();
        assert_eq!(why(&path), "it is larger than 65536 bytes");
        std::fs::write(&path, vec![b' '; most]).unwrap();
        assert!(read_text(&path).is_ok());
    }
}
