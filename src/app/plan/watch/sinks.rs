//! The sinks of a configuration, checked: each kind has keys of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::adapters::delivery::{SinkSettings, SlackUrl};
use crate::core::fleet::{BadFilter, Filter};

/// A `[[sink]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SinkTable {
    /// By which the store and the metrics know it.
    pub(super) name: String,
    pub(super) kind: SinkKind,
    pub(super) url: Option<String>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) events: Vec<String>,
    #[serde(default)]
    pub(super) verdicts: Vec<String>,
    #[serde(default)]
    pub(super) agents: Vec<String>,
}

/// How a sink delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SinkKind {
    Webhook,
    Slack,
    Exec,
}

/// A sink to deliver to.
#[derive(Debug)]
pub(crate) struct SinkSpec {
    pub(crate) name: String,
    pub(crate) settings: SinkSettings,
    pub(crate) filter: Filter,
}

/// A sink that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSink {
    #[error("a sink has an empty name")]
    NoName,
    #[error("two sinks have the name {0:?}; the store tells them apart by it")]
    TwoOfOneName(String),
    #[error("sink {name:?}: {kind} needs {needs}")]
    Needs {
        name: String,
        kind: &'static str,
        needs: &'static str,
    },
    #[error("sink {name:?}: {kind} has no {key}")]
    HasNo {
        name: String,
        kind: &'static str,
        key: &'static str,
    },
    #[error("sink {name:?}: url-file: cannot read {}", path.display())]
    UrlFile {
        name: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error("sink {name:?}: {source}")]
    Filter { name: String, source: BadFilter },
}

impl SinkTable {
    /// The webhook of the switches.
    pub(super) fn webhook(url: String, secret_file: Option<PathBuf>) -> Self {
        Self {
            name: "webhook".to_owned(),
            kind: SinkKind::Webhook,
            url: Some(url),
            url_file: None,
            secret_file,
            command: Vec::new(),
            events: Vec::new(),
            verdicts: Vec::new(),
            agents: Vec::new(),
        }
    }

    fn check(self) -> Result<SinkSpec, BadSink> {
        let name = self.name.clone();
        let filter = Filter::new(&self.events, &self.verdicts, &self.agents);
        let filter = filter.map_err(|source| BadSink::Filter {
            name: name.clone(),
            source,
        })?;
        let settings = match self.kind {
            SinkKind::Webhook => {
                self.has_no("command", !self.command.is_empty())?;
                SinkSettings::Webhook {
                    url: self.address()?,
                    secret_file: self.secret_file,
                }
            }
            SinkKind::Slack => {
                self.has_no("command", !self.command.is_empty())?;
                self.has_no("secret-file", self.secret_file.is_some())?;
                SinkSettings::Slack {
                    url: match (&self.url, &self.url_file) {
                        (None, Some(path)) => SlackUrl::File(path.clone()),
                        _ => SlackUrl::Text(self.address()?),
                    },
                }
            }
            SinkKind::Exec => {
                self.has_no("url", self.url.is_some())?;
                self.has_no("url-file", self.url_file.is_some())?;
                self.has_no("secret-file", self.secret_file.is_some())?;
                if self.command.is_empty() {
                    return Err(self.needs("a command: [\"program\", \"argument\"]"));
                }
                SinkSettings::Exec {
                    command: self.command,
                }
            }
        };
        Ok(SinkSpec {
            name,
            settings,
            filter,
        })
    }

    /// The address that a sink is reached at, which may be a secret.
    fn address(&self) -> Result<String, BadSink> {
        match (&self.url, &self.url_file) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(path)) => self.read_address(path),
            (None, None) | (Some(_), Some(_)) => Err(self.needs("either url or url-file")),
        }
    }

    fn read_address(&self, path: &Path) -> Result<String, BadSink> {
        let text = fs::read_to_string(path).map_err(|source| BadSink::UrlFile {
            name: self.name.clone(),
            path: path.to_owned(),
            source,
        })?;
        Ok(text.trim().to_owned())
    }

    fn needs(&self, needs: &'static str) -> BadSink {
        BadSink::Needs {
            name: self.name.clone(),
            kind: self.kind.in_words(),
            needs,
        }
    }

    fn has_no(&self, key: &'static str, given: bool) -> Result<(), BadSink> {
        if !given {
            return Ok(());
        }
        Err(BadSink::HasNo {
            name: self.name.clone(),
            kind: self.kind.in_words(),
            key,
        })
    }
}

impl SinkKind {
    /// It in words, with its article.
    const fn in_words(self) -> &'static str {
        match self {
            SinkKind::Webhook => "a webhook",
            SinkKind::Slack => "a slack sink",
            SinkKind::Exec => "an exec sink",
        }
    }
}

/// Checks all sinks.
pub(super) fn check(tables: Vec<SinkTable>) -> Result<Vec<SinkSpec>, BadSink> {
    let mut sinks: Vec<SinkSpec> = Vec::new();
    for table in tables {
        if table.name.trim().is_empty() {
            return Err(BadSink::NoName);
        }
        if sinks.iter().any(|sink| sink.name == table.name) {
            return Err(BadSink::TwoOfOneName(table.name));
        }
        sinks.push(table.check()?);
    }
    Ok(sinks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<usize, String> {
        #[derive(Deserialize)]
        struct File {
            sink: Vec<SinkTable>,
        }
        let file: File = toml::from_str(toml).unwrap();
        let checked = check(file.sink).map_err(|error| error.to_string());
        checked.map(|sinks| sinks.len())
    }

    #[test]
    fn each_kind_has_keys_of_its_own() {
        let webhook = "[[sink]]\nname = \"a\"\nkind = \"webhook\"\n";
        let slack = "[[sink]]\nname = \"b\"\nkind = \"slack\"\n";
        let exec = "[[sink]]\nname = \"c\"\nkind = \"exec\"\n";
        let url = "url = \"https://example.com\"\n";
        let command = "command = [\"page\"]\n";
        let both = "url-file = \"/x\"\nurl = \"https://example.com\"\n";
        let secret = "secret-file = \"/x\"\n";
        for (text, expected) in [
            (
                format!("{webhook}{url}{secret}{slack}{url}{exec}{command}"),
                Ok(3),
            ),
            (
                webhook.to_owned(),
                Err("sink \"a\": a webhook needs either url or url-file"),
            ),
            (
                format!("{webhook}{both}"),
                Err("sink \"a\": a webhook needs either url or url-file"),
            ),
            (
                format!("{webhook}{url}{command}"),
                Err("sink \"a\": a webhook has no command"),
            ),
            (
                format!("{slack}{url}{secret}"),
                Err("sink \"b\": a slack sink has no secret-file"),
            ),
            (
                format!("{slack}{url}{command}"),
                Err("sink \"b\": a slack sink has no command"),
            ),
            (
                exec.to_owned(),
                Err("sink \"c\": an exec sink needs a command: [\"program\", \"argument\"]"),
            ),
            (
                format!("{exec}{command}{url}"),
                Err("sink \"c\": an exec sink has no url"),
            ),
            (
                format!("{exec}{command}{secret}"),
                Err("sink \"c\": an exec sink has no secret-file"),
            ),
            (
                format!("{webhook}{url}{webhook}{url}"),
                Err("two sinks have the name \"a\"; the store tells them apart by it"),
            ),
            (
                "[[sink]]\nname = \" \"\nkind = \"exec\"".to_owned(),
                Err("a sink has an empty name"),
            ),
            (
                format!("{webhook}url-file = \"/no/such/file\""),
                Err("sink \"a\": url-file: cannot read /no/such/file"),
            ),
            (
                format!("{exec}{command}verdicts = [\"redy\"]"),
                Err(
                    "sink \"c\": verdicts: no rollout ends with \"redy\", perhaps \"ready\" was meant",
                ),
            ),
        ] {
            assert_eq!(read(&text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn an_address_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        fs::write(&path, "https://example.com/hook\n").unwrap();
        let table = SinkTable {
            url: None,
            url_file: Some(path),
            ..SinkTable::webhook(String::new(), None)
        };
        assert_eq!(table.address().unwrap(), "https://example.com/hook");
    }
}
