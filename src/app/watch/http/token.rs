//! The token that guards the endpoints, where they are for more people than those of this machine.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use tokio::task::spawn_blocking;

/// The shortest token that is taken.
const MIN_LENGTH: usize = 16;

/// What is asked for: by a browser as a password, by programs as a bearer token.
pub(super) const CHALLENGE: &str = "Basic realm=\"pipecat-rollout\", charset=\"UTF-8\"";

/// A token, and the file that holds it.
pub(crate) struct Token {
    path: PathBuf,
    /// What is kept of it: comparing digests takes no longer the more of it is right.
    digest: RwLock<Vec<u8>>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.path.display())
    }
}

impl Token {
    /// Reads the token of a file.
    ///
    /// # Errors
    /// When there is none, in one line.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        Ok(Self {
            path: path.to_owned(),
            digest: RwLock::new(digest_of(&read_token(path)?)),
        })
    }

    /// Whether a request bears it. The file is read again for one that is wrong: it may have been replaced.
    pub(super) async fn admits(self: &Arc<Self>, headers: &HeaderMap) -> bool {
        let Some(given) = given(headers) else {
            return false;
        };
        let given = digest_of(&given);
        if self.is(&given) {
            return true;
        }
        let token = Arc::clone(self);
        let read = spawn_blocking(move || read_token(&token.path)).await;
        if let Ok(Ok(token)) = read {
            *self.digest.write().unwrap_or_else(PoisonError::into_inner) = digest_of(&token);
        }
        self.is(&given)
    }

    fn is(&self, digest: &[u8]) -> bool {
        let known = self.digest.read().unwrap_or_else(PoisonError::into_inner);
        *known == digest
    }
}

/// The token that a file holds.
///
/// # Errors
/// When there is none, in one line.
pub(crate) fn read_token(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
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
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn bearing(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn a_token_is_a_bearer_token_or_a_password_and_can_be_replaced() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
        let token = Arc::new(Token::read(file.path()).unwrap());
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
        fs::write(file.path(), "fedcba9876543210").unwrap();
        assert!(token.admits(&bearing("Bearer fedcba9876543210")).await);
        assert!(!token.admits(&bearing(&format!("Bearer {TOKEN}"))).await);
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
    }
}
