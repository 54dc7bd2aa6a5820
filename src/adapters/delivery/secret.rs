//! What must not be seen: the files that hold it, and the signatures that are made with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// The length of a secret, decoded, as Standard Webhooks has it.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;
/// The most that is read of a file: more is no secret, but a mistake.
const MOST: usize = 64 * 1024;

/// The secrets with which a webhook is signed: one, or several while they are rotated.
pub struct Secrets(Vec<hmac::Key>);

/// Why a file of secrets cannot be used. What it holds is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the secret file {}: {fault}", path.display())]
pub struct BadSecretFile {
    path: PathBuf,
    fault: BadSecrets,
}

/// What is wrong with a file of secrets.
#[derive(Debug, thiserror::Error)]
pub enum BadSecrets {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// A folder, or a pipe, which would be waited for.
    #[error("it is not a file")]
    NotAFile,
    /// More than any number of secrets.
    #[error("it is larger than {MOST} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// Nothing but blank lines.
    #[error("it holds nothing")]
    Empty,
    /// A line, counted from one, is no secret of this kind.
    #[error("line {0} does not begin with {PREFIX}")]
    NoPrefix(usize),
    /// A line, counted from one, cannot be decoded.
    #[error("line {0} is not base64 after {PREFIX}")]
    NotBase64(usize),
    /// A secret is too short or too long.
    #[error(
        "the secret in line {line} has {length} bytes; {} to {} are needed",
        LENGTH.start(), LENGTH.end()
    )]
    Length {
        /// Where it is, counted from one.
        line: usize,
        /// What it has, in bytes.
        length: usize,
    },
    /// Where an address is looked for, there is none.
    #[error("it must hold one URL: {0}")]
    Address(super::BadAddress),
}

impl BadSecrets {
    /// The fault with the file that has it.
    pub(super) fn of(self, path: &Path) -> BadSecretFile {
        BadSecretFile {
            path: path.to_owned(),
            fault: self,
        }
    }
}

impl Secrets {
    /// Reads the secrets of a file, one a line; blank lines are passed over.
    pub(super) fn read(path: &Path) -> Result<Self, BadSecretFile> {
        let text = read_text(path)?;
        Self::parse(&text).map_err(|fault| fault.of(path))
    }

    /// Reads secrets, one a line; blank lines are passed over.
    ///
    /// # Errors
    /// When there is none, or a line is none. What the line holds is not repeated.
    pub fn parse(text: &str) -> Result<Self, BadSecrets> {
        let lines = text.lines().map(str::trim).zip(1..);
        let keys = lines
            .filter(|(line, _)| !line.is_empty())
            .map(|(line, number)| {
                let secret = line
                    .strip_prefix(PREFIX)
                    .ok_or(BadSecrets::NoPrefix(number))?;
                let secret = STANDARD
                    .decode(secret)
                    .map_err(|_| BadSecrets::NotBase64(number))?;
                if !LENGTH.contains(&secret.len()) {
                    return Err(BadSecrets::Length {
                        line: number,
                        length: secret.len(),
                    });
                }
                Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(BadSecrets::Empty);
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

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Reads a small file of text.
pub(super) fn read_text(path: &Path) -> Result<String, BadSecretFile> {
    read(path).map_err(|fault| fault.of(path))
}

fn read(path: &Path) -> Result<String, BadSecrets> {
    // Opening a pipe would wait for whoever writes to it.
    if !path.metadata().map_err(BadSecrets::Unreadable)?.is_file() {
        return Err(BadSecrets::NotAFile);
    }
    let file = File::open(path).map_err(BadSecrets::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(BadSecrets::Unreadable)?;
    if bytes.len() > MOST {
        return Err(BadSecrets::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| BadSecrets::NotText)
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
            let error = Secrets::parse(&text).unwrap_err().of(Path::new("/a/file"));
            let told = format!("cannot use the secret file /a/file: {fault}");
            assert_eq!(error.to_string(), told);
            assert!(!format!("{error:?}").contains("MfKQ9"));
        }
    }

    #[test]
    fn secrets_cannot_be_shown() {
        let secrets = Secrets::parse(SECRET).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(1)");
    }

    #[test]
    fn only_small_files_of_text_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let fault = |path: &Path| read(path).unwrap_err().to_string();
        assert!(fault(&path).starts_with("No such file"));
        assert_eq!(fault(folder.path()), "it is not a file");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(fault(&path), "it is not text");
        std::fs::write(&path, vec![b' '; MOST + 1]).unwrap();
        assert_eq!(fault(&path), "it is larger than 65536 bytes");
        std::fs::write(&path, vec![b' '; MOST]).unwrap();
        assert!(read(&path).is_ok());
    }
}
