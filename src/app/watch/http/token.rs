//! The token that guards the endpoints, where they are for more people than those of this machine.

use std::fmt;
use std::path::{Path, PathBuf};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use tokio::task::spawn_blocking;

use crate::adapters::delivery::read_text;

/// The shortest token that is taken.
const MIN_LENGTH: usize = 16;

/// What is asked for: by a browser as a password, by programs as a bearer token.
pub(super) const CHALLENGE: &str = "Basic realm=\"pipecat-rollout\", charset=\"UTF-8\"";

/// A token, by the file that holds it: nothing of it is kept, so that another one counts at once.
pub(crate) struct Token(PathBuf);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0.display())
    }
}

impl Token {
    /// The token of a file.
    ///
    /// # Errors
    /// When there is none, in one line.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        read_token(path).map(|_| Self(path.to_owned()))
    }

    /// Whether a request bears it. Where the file holds none any more, no request does.
    pub(super) async fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(given) = given(headers) else {
            return false;
        };
        let path = self.0.clone();
        let read = spawn_blocking(move || read_token(&path)).await;
        // Comparing digests takes no longer the more of it is right.
        matches!(read, Ok(Ok(token)) if digest_of(&token) == digest_of(&given))
    }
}

/// The token that a file holds.
///
/// # Errors
/// When there is none, in one line.
pub(crate) fn read_token(path: &Path) -> Result<String, String> {
    let text = read_text(path)?;
    let token = text.trim();
    let is_token = token.len() >= MIN_LENGTH && token.chars().all(|char| char.is_ascii_graphic());
    if !is_token {
        return Err(format!(
            "{} holds no token: that is one line of at least {MIN_LENGTH} letters, digits and signs; make one with \
             `openssl rand -hex 32`",
            path.display()
        ));
    }
    Ok(token.to_owned())
}

fn digest_of(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// The token of a request: a bearer token, or a password with any name.
fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn bearing(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn a_token_is_a_bearer_token_or_a_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
        let token = Token::read(file.path()).unwrap();
        assert!(!format!("{token:?}").contains(TOKEN));
        let basic = |pair: &str| bearing(&format!("Basic {}", STANDARD.encode(pair)));
        for right in [
            bearing(&format!("bearer {TOKEN}")),
            basic(&format!("x:{TOKEN}")),
        ] {
            assert!(token.admits(&right).await);
        }
        for wrong in [
            HeaderMap::new(),
            bearing("Bearer 0123456789abcdeF"),
            bearing(TOKEN),
            basic(TOKEN),
            basic("x:"),
            bearing("Basic !"),
        ] {
            assert!(!token.admits(&wrong).await, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_replaced_or_removed_is_refused() {
        let (old, new) = (format!("Bearer {TOKEN}"), "Bearer fedcba9876543210");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, TOKEN).unwrap();
        let token = Token::read(&path).unwrap();
        assert!(token.admits(&bearing(&old)).await);
        fs::write(&path, "fedcba9876543210").unwrap();
        assert!(!token.admits(&bearing(&old)).await);
        assert!(token.admits(&bearing(new)).await);
        fs::remove_file(&path).unwrap();
        assert!(!token.admits(&bearing(new)).await);
    }

    #[test]
    fn what_can_be_guessed_is_no_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "",
            "\n",
            "short",
            "two words are no token",
            "0123456789abcdef\nx",
        ] {
            fs::write(file.path(), text).unwrap();
            let why = Token::read(file.path()).unwrap_err();
            assert!(why.contains("holds no token"), "{why}");
        }
        let why = Token::read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(why, "cannot read /dev/zero: it is not a file");
        let large = "x".repeat(1 << 20);
        fs::write(file.path(), large).unwrap();
        let why = Token::read(file.path()).unwrap_err();
        assert!(why.ends_with("it is larger than 65536 bytes"), "{why}");
    }
}
