//! The login file of the vendor's CLI, which is read and never written.

use std::env;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use toml::{Table, Value};
use tracing::warn;

use super::{MAX_FILE, read};
use crate::core::text::diagnostics;

/// Where the file is unless the variable says it, below the user's home.
const FILE: &str = ".config/pipecatcloud/pipecatcloud.toml";
pub(super) const FILE_VARIABLE: &str = "PIPECAT_CONFIG_PATH";

/// The permissions of everybody but the owner.
const OF_OTHERS: u32 = 0o077;

/// A login of the vendor's CLI.
pub(super) struct LoginFile {
    pub(super) path: PathBuf,
    pub(super) token: String,
    /// What renews the token; known only so that it is shown nowhere.
    pub(super) refresh_token: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
}

impl LoginFile {
    /// Reads the file, if there is one. One that others can read is used, with a warning.
    pub(super) fn find() -> Result<Option<Self>> {
        let of_home = || Some(path_in("HOME")?.join(FILE));
        let Some(path) = path_in(FILE_VARIABLE).or_else(of_home) else {
            return Ok(None);
        };
        let file = path.metadata();
        if matches!(&file, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let login = Self::read(&path)?;
        if file.is_ok_and(|file| file.mode() & OF_OTHERS != 0) {
            let path = path.display();
            warn!("other users may read the login in {path}; close it: chmod 600 {path}");
        }
        Ok(Some(login))
    }

    /// Reads this file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let wrong = |why: &str| {
            let path = path.display();
            anyhow!("{path}: {why}; write it anew: pipecat cloud auth login")
        };
        let bytes = read(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(wrong(&format!("is larger than {MAX_FILE} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong("is not text"))?;
        // What the parser says may repeat what is there: only the line is shown.
        let table: Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |at| diagnostics::line(&text, &at));
            wrong(&format!("is not valid TOML in line {line}"))
        })?;
        let text = |key| {
            let text = table.get(key).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Ok(Self {
            path: path.to_owned(),
            token: text("token").ok_or_else(|| wrong("holds no token"))?,
            refresh_token: text("refresh_token"),
            organization: text("org"),
            expires_at: table.get("token_expires_at").and_then(moment),
        })
    }
}

/// The file that the variable names, where there is none.
pub(super) fn missing() -> Option<PathBuf> {
    path_in(FILE_VARIABLE).filter(|path| !path.exists())
}

fn path_in(variable: &str) -> Option<PathBuf> {
    let path = env::var_os(variable).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// A moment in seconds since 1970; zero stands for none.
fn moment(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough")]
    let seconds = match value {
        Value::Integer(seconds) => *seconds,
        Value::Float(seconds) => *seconds as i64,
        _ => return None,
    };
    Timestamp::from_second(seconds)
        .ok()
        .filter(|at| *at > Timestamp::UNIX_EPOCH)
}
