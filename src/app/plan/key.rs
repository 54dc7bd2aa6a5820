//! Where the API key comes from: a file or the environment, never an argument.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::adapters::api::{ApiKey, BadApiKey};

/// The environment variables that may hold the key, in the order in which they are asked.
const VARIABLES: [&str; 2] = ["PIPECAT_API_KEY", "PCC_API_KEY"];

/// The most that is read of a key's file, in bytes.
const MOST: u64 = 64 * 1024;

/// Why there is no key. It never repeats one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// Nothing gives one.
    #[error(
        "no API key; put a private API key into PIPECAT_API_KEY, or its file into --api-key-file"
    )]
    Missing,
    /// A variable is there, but empty: a secret that the pipeline may not see, for example.
    #[error("no API key: {0} is set but empty; does the pipeline have access to the secret?")]
    SetButEmpty(&'static str),
    /// What a variable holds cannot be a key.
    #[error("the API key in {variable} {error}")]
    Variable {
        variable: &'static str,
        error: BadApiKey,
    },
    /// A variable holds no text.
    #[error("the API key in {0} is not text")]
    NotText(&'static str),
    /// The file cannot be read.
    #[error("--api-key-file: cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file has more in it than a key.
    #[error("--api-key-file: {} is larger than {MOST} bytes, so that it cannot be a key's", path.display())]
    TooLarge { path: PathBuf },
    /// What the file holds cannot be a key.
    #[error("--api-key-file: the API key in {} {error}", path.display())]
    File { path: PathBuf, error: BadApiKey },
}

/// The key in `file`, else in the environment.
pub(super) fn find(file: Option<&Path>) -> Result<ApiKey, KeyError> {
    match file {
        Some(path) => from_file(path),
        None => from_environment(),
    }
}

/// The key in `file` by now, if it can be read. A pipe gave its key when it was first read, and whoever
/// reads it again may wait forever.
pub(super) fn find_again(file: &Path) -> Option<ApiKey> {
    let is_file = file.metadata().ok()?.is_file();
    is_file.then(|| from_file(file).ok())?
}

fn from_file(path: &Path) -> Result<ApiKey, KeyError> {
    let unreadable = |source| KeyError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        let path = path.to_owned();
        return Err(KeyError::TooLarge { path });
    }
    let no_text = |_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not text"));
    let text = String::from_utf8(bytes).map_err(no_text)?;
    // Editors end a file with a line break.
    ApiKey::parse(text.trim_end_matches(['\n', '\r'])).map_err(|error| KeyError::File {
        path: path.to_owned(),
        error,
    })
}

fn from_environment() -> Result<ApiKey, KeyError> {
    let mut empty = None;
    for variable in VARIABLES {
        let Some(value) = std::env::var_os(variable) else {
            continue;
        };
        let text = value.to_str().ok_or(KeyError::NotText(variable))?;
        match ApiKey::parse(text) {
            Ok(key) => return Ok(key),
            Err(BadApiKey::Empty) => empty = empty.or(Some(variable)),
            Err(error) => return Err(KeyError::Variable { variable, error }),
        }
    }
    Err(empty.map_or(KeyError::Missing, KeyError::SetButEmpty))
}
