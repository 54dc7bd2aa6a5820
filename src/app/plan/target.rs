//! Which deployment the verdict is about, as it was typed, piped or written to a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::core::rollout::{AgentReport, Baseline, TargetRule, Verdict};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::AgentName;

/// The fewest characters that an id has.
const MIN_ID: usize = 8;
/// The characters of a UUID.
const UUID: usize = 36;
/// How many characters of a commit are given: as many as git shows, and all of a SHA-256.
const MIN_COMMIT: usize = 7;
const MAX_COMMIT: usize = 64;
/// The most that is read of stdin or of a baseline file, in bytes.
const MAX_READ: u64 = 16 * 1024 * 1024;

/// Where a target is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Stdin,
    File(&'a Path),
}

/// Why no target can be made of what was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{switch}: {given:?} cannot be the id of a deployment: {why}")]
    Id {
        switch: &'static str,
        given: String,
        why: &'static str,
    },
    #[error(
        "{switch}: {given:?} cannot be a commit: give its hash, or at least the first {MIN_COMMIT} characters of it"
    )]
    Commit { switch: &'static str, given: String },
    #[error("{switch} -: cannot read stdin")]
    Stdin {
        switch: &'static str,
        source: io::Error,
    },
    #[error("{switch} -: stdin did not end within {}; did the command before the pipe hang?", short_duration(*limit))]
    StdinHangs {
        switch: &'static str,
        limit: Duration,
    },
    #[error("--deployment -: stdin is empty; did the command before the pipe fail?")]
    Empty,
    #[error(
        "--deployment -: stdin must hold an id, or the JSON that `pipecat cloud deploy` prints: {0}"
    )]
    NotAnId(String),
    #[error("--deployment -: stdin is about agent {0:?}, and not about {1:?}")]
    OtherAgent(String, String),
    #[error("--baseline: cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--baseline {place}: {why}")]
    Baseline { place: String, why: BadReport },
}

/// Why a text cannot say which deployment was there before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadReport {
    #[error(
        "this is not the JSON report of `status`: {0}; write it before the deploy, with `status --output json`"
    )]
    NotAReport(String),
    #[error("the report is not about agent {agent:?}, only about {found}")]
    NotOfThisAgent { agent: String, found: String },
    #[error(
        "the report says nothing about agent {agent:?}: its verdict is {verdict}; run `status` again before the deploy"
    )]
    NothingSeen { agent: String, verdict: Verdict },
}

/// An id of a deployment, in lower case.
pub(super) fn id(switch: &'static str, given: &str) -> Result<String, TargetError> {
    let text = given.trim();
    let wrong = |why| {
        let given = one_line(given).chars().take(80).collect();
        Err(TargetError::Id { switch, given, why })
    };
    let of_an_id = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    match text {
        "" => wrong("it is empty; leave the switch out, or give the id of a deployment"),
        _ if text.contains(['"', '\'']) => wrong("it holds quotes; with jq, use -r"),
        _ if ["null", "none", "undefined"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word)) =>
        {
            wrong("there was no id to take")
        }
        _ if !text.chars().all(of_an_id) => wrong("it holds characters that no id has"),
        _ if text.len() < MIN_ID => wrong("it is too short"),
        _ if begins_a_uuid(text) => wrong("it is only the beginning of an id; give the whole"),
        _ => Ok(text.to_ascii_lowercase()),
    }
}

/// Whether this is a UUID whose end is missing: another deployment's id may begin like that, too.
fn begins_a_uuid(text: &str) -> bool {
    let fits = |(place, char): (usize, char)| match place {
        8 | 13 | 18 | 23 => char == '-',
        _ => char.is_ascii_hexdigit(),
    };
    text.len() < UUID && text.chars().enumerate().all(fits)
}

/// A commit, in lower case, or its first characters.
pub(super) fn commit(switch: &'static str, given: &str) -> Result<String, TargetError> {
    let text = given.trim();
    let is_commit = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit && (MIN_COMMIT..=MAX_COMMIT).contains(&text.len()) {
        return Ok(text.to_ascii_lowercase());
    }
    let given = one_line(given).chars().take(80).collect();
    Err(TargetError::Commit { switch, given })
}

/// The commit that was pushed, where GitHub Actions runs because of that. That of a pull request is one that
/// nobody has pushed.
pub(super) fn pushed_commit() -> Option<String> {
    let variable = |name| std::env::var(name).ok();
    if variable("GITHUB_ACTIONS")? != "true" {
        return None;
    }
    let event = variable("GITHUB_EVENT_NAME").unwrap_or_default();
    if event.starts_with("pull_request") {
        return None;
    }
    commit("GITHUB_SHA", &variable("GITHUB_SHA")?).ok()
}

/// The id that a deploy command hands over through a pipe: alone, or in the JSON of the vendor's CLI.
pub(super) fn id_of_stdin(agent: &AgentName, limit: Duration) -> Result<String, TargetError> {
    let text = read_stdin("--deployment", limit)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    if !text.starts_with('{') {
        let words = text.split_whitespace().count();
        return match words {
            1 => id("--deployment -", text),
            _ => Err(TargetError::NotAnId(format!("it has {words} words"))),
        };
    }
    let json: Value =
        serde_json::from_str(text).map_err(|error| TargetError::NotAnId(error.to_string()))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if let Some(other) = text("agentName").filter(|name| *name != agent.as_str()) {
        return Err(TargetError::OtherAgent(
            one_line(other),
            agent.as_str().to_owned(),
        ));
    }
    match text("deploymentId") {
        Some(given) => id("--deployment -", given),
        None => Err(TargetError::NotAnId("it has no deploymentId".to_owned())),
    }
}

/// The baselines that a report of `status` holds, one for each of these agents.
pub(super) fn baselines(
    source: Source<'_>,
    agents: &[AgentName],
    limit: Duration,
) -> Result<Vec<TargetRule>, TargetError> {
    let text = match source {
        Source::Stdin => read_stdin("--baseline", limit)?,
        Source::File(path) => {
            let read = File::open(path).and_then(read_text);
            read.map_err(|source| TargetError::Unreadable {
                path: path.to_owned(),
                source,
            })?
        }
    };
    baselines_of_report(&text, agents).map_err(|why| {
        let place = match source {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
        };
        TargetError::Baseline { place, why }
    })
}

fn baselines_of_report(text: &str, agents: &[AgentName]) -> Result<Vec<TargetRule>, BadReport> {
    let report: Value =
        serde_json::from_str(text).map_err(|error| BadReport::NotAReport(error.to_string()))?;
    let list = report.get("agents").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| BadReport::NotAReport("it has no agents".to_owned()))?;
    let reports: Result<Vec<AgentReport>, _> =
        list.iter().cloned().map(serde_json::from_value).collect();
    let reports = reports.map_err(|error| BadReport::NotAReport(error.to_string()))?;
    agents
        .iter()
        .map(|agent| baseline(&reports, agent).map(TargetRule::NewerThan))
        .collect()
}

fn baseline(reports: &[AgentReport], agent: &AgentName) -> Result<Baseline, BadReport> {
    let agent = agent.as_str();
    let Some(report) = reports.iter().find(|report| report.agent == agent) else {
        let found: Vec<String> = reports
            .iter()
            .map(|report| one_line(&report.agent))
            .collect();
        return Err(BadReport::NotOfThisAgent {
            agent: agent.to_owned(),
            found: found.join(", "),
        });
    };
    let outcome = &report.outcome;
    let seen = outcome.deployment_id.is_some()
        || matches!(outcome.verdict, Verdict::NotFound | Verdict::Unchanged);
    if !seen {
        return Err(BadReport::NothingSeen {
            agent: agent.to_owned(),
            verdict: outcome.verdict,
        });
    }
    let deployment_id = outcome.deployment_id.as_deref();
    Ok(Baseline {
        deployment_id: deployment_id
            .map(|given| id("deploymentId", given))
            .transpose()
            .map_err(|error| BadReport::NotAReport(error.to_string()))?,
        created_at: outcome.deployment_created_at,
    })
}

/// Reads stdin to its end, for no longer than `limit`. Who holds it open is not waited for.
fn read_stdin(switch: &'static str, limit: Duration) -> Result<String, TargetError> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more once the time is over.
        let _ = sender.send(read_text(io::stdin()));
    });
    match receiver.recv_timeout(limit) {
        Ok(read) => read.map_err(|source| TargetError::Stdin { switch, source }),
        Err(_) => Err(TargetError::StdinHangs { switch, limit }),
    }
}

fn read_text(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_READ).read_to_end(&mut bytes)?;
    // Some shells begin a file with a byte order mark.
    let bytes = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&bytes)
        .to_vec();
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_a_deployment_id() {
        for given in [
            "",
            " ",
            "null",
            "None",
            "undefined",
            "\"59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3\"",
            "'59c8ceba'",
            "{\"id\"}",
            "59c8ceb",
            "59c8ceba 6c7e4ccd",
            "59c8ceba\u{200b}-6c7e-4ccd",
            "<html>...</html>",
            "59c8ceba\nx",
        ] {
            let error = id("--deployment", given).unwrap_err().to_string();
            assert!(error.starts_with("--deployment: "), "{error}");
            assert!(!error.contains('\u{200b}'), "{error}");
        }
    }

    #[test]
    fn ids_are_taken_in_lower_case() {
        let upper = " 59C8CEBA-6C7E-4CCD-A5BD-6CD7A4E4CFA3\n";
        assert_eq!(
            id("--deployment", upper).unwrap(),
            upper.trim().to_lowercase()
        );
    }
}
