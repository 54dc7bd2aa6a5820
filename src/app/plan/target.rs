//! Which deployment the verdict is about, as it was typed, piped or written to a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::core::rollout::{AgentReport, Baseline, TargetRule, Verdict};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::AgentName;

/// The fewest characters that an id has.
const MIN_ID: usize = 8;
/// The most characters that an id has.
const MAX_ID: usize = 128;
/// The characters of a UUID.
const UUID: usize = 36;
/// How many characters of a commit are given: as many as git shows, and all of a SHA-256.
const MIN_COMMIT: usize = 7;
const MAX_COMMIT: usize = 64;
/// How far the clock of the machine that wrote a report may be ahead of the servers'.
const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// The most that is read of stdin or of a baseline file, in bytes.
const MAX_READ: u64 = 16 * 1024 * 1024;

/// An id of a deployment, in lower case.
pub(super) fn id(option: &str, given: &str) -> Result<String> {
    let text = given.trim();
    let of_an_id = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let is_nothing = |word: &&str| text.eq_ignore_ascii_case(word);
    let why = match text {
        "" => "it is empty; leave the option out, or give the id of a deployment",
        _ if text.contains(['"', '\'']) => "it holds quotes; with jq, use -r",
        _ if ["null", "none", "undefined"].iter().any(is_nothing) => "there was no id to take",
        _ if !text.chars().all(of_an_id) => "it holds characters that no id has",
        _ if text.len() < MIN_ID => "it is too short",
        _ if text.len() > MAX_ID => "it is too long",
        _ if begins_a_uuid(text) => "it is only the beginning of an id; give the whole",
        _ => return Ok(text.to_ascii_lowercase()),
    };
    let shown = quoted(text);
    ensure!(
        text.is_empty() || !shown.is_empty(),
        "{option}: what is given cannot be the id of a deployment: it holds only characters that cannot be shown"
    );
    bail!("{option}: {shown:?} cannot be the id of a deployment: {why}")
}

/// Foreign text, harmless and not too long.
fn quoted(given: &str) -> String {
    one_line(given).chars().take(80).collect()
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
pub(super) fn commit(option: &str, given: &str) -> Result<String> {
    let text = given.trim();
    let is_commit = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(
        is_commit && (MIN_COMMIT..=MAX_COMMIT).contains(&text.len()),
        "{option}: {:?} cannot be a commit: give its hash, or at least the first {MIN_COMMIT} characters of it",
        quoted(given)
    );
    Ok(text.to_ascii_lowercase())
}

/// The commit that was pushed, where GitHub Actions runs because of that. Of any other event it is one that
/// nobody has pushed just now, or that is another branch's.
pub(super) fn pushed_commit() -> Option<String> {
    let variable = |name| std::env::var(name).ok();
    if variable("GITHUB_ACTIONS")? != "true" {
        return None;
    }
    let event = variable("GITHUB_EVENT_NAME").unwrap_or_default();
    if !["", "push"].contains(&event.as_str()) {
        return None;
    }
    commit("GITHUB_SHA", &variable("GITHUB_SHA")?).ok()
}

/// The id that a deploy command hands over through a pipe: alone, or in the JSON of the vendor's CLI.
pub(super) fn id_of_stdin(agent: &AgentName, limit: Duration) -> Result<String> {
    const OPTION: &str = "--deployment -";
    let not_an_id = |why: &str| {
        anyhow!(
            "{OPTION}: stdin must hold an id, or the JSON that `pipecat cloud deploy` prints: {why}"
        )
    };
    let text = read_stdin(OPTION, limit)?;
    let text = text.trim();
    ensure!(
        !text.is_empty(),
        "{OPTION}: stdin is empty; did the command before the pipe fail?"
    );
    if !text.starts_with('{') {
        return match text.split_whitespace().count() {
            1 => id(OPTION, text),
            words => Err(not_an_id(&format!("it has {words} words"))),
        };
    }
    let json: Value = serde_json::from_str(text).map_err(|error| not_an_id(&error.to_string()))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if let Some(other) = text("agentName").filter(|name| *name != agent.as_str()) {
        let (other, ours) = (one_line(other), agent.as_str());
        bail!("{OPTION}: stdin is about agent {other:?}, and not about {ours:?}");
    }
    let given = text("deploymentId").ok_or_else(|| not_an_id("it has no deploymentId"))?;
    id(OPTION, given)
}

/// The baselines that a report of `status` holds, one for each of these agents; - is stdin.
pub(super) fn baselines(
    path: &Path,
    agents: &[AgentName],
    limit: Duration,
) -> Result<Vec<TargetRule>> {
    let place = path.display();
    let text = if path.as_os_str() == "-" {
        read_stdin("--baseline -", limit)?
    } else {
        let read = File::open(path).and_then(read_text);
        read.with_context(|| format!("--baseline: cannot read {place}"))?
    };
    let reports = reports(&text).map_err(|why| {
        anyhow!(
            "--baseline {place}: this is not the JSON report of `status`: {why}; write it before the deploy, \
             with `status --output json`"
        )
    })?;
    let baselines = agents.iter().map(|agent| {
        let baseline = baseline(&reports, agent.as_str());
        let baseline = baseline.map_err(|why| anyhow!("--baseline {place}: {why}"))?;
        Ok(TargetRule::NewerThan(baseline))
    });
    baselines.collect()
}

fn reports(text: &str) -> Result<Vec<AgentReport>> {
    #[derive(Deserialize)]
    struct Reports {
        #[serde(default)]
        agents: Vec<AgentReport>,
    }
    let Reports { agents } = serde_json::from_str(text)?;
    ensure!(!agents.is_empty(), "it has no agents");
    Ok(agents)
}

fn baseline(reports: &[AgentReport], agent: &str) -> Result<Baseline> {
    let Some(report) = reports.iter().find(|report| report.agent == agent) else {
        let found: Vec<String> = reports
            .iter()
            .map(|report| one_line(&report.agent))
            .collect();
        let found = found.join(", ");
        bail!("the report is not about agent {agent:?}, only about {found}");
    };
    let outcome = &report.outcome;
    let is_known = match (outcome.verdict, &outcome.deployment_id) {
        // Another deployment was desired than the one that it is about.
        (Verdict::Superseded, _) | (Verdict::Unchanged, Some(_)) => false,
        (Verdict::Unchanged, None) => outcome.baseline_deployment_id.is_none(),
        (Verdict::NotFound, _) => true,
        (_, deployment) => deployment.is_some(),
    };
    ensure!(
        is_known,
        "the report does not say which deployment agent {agent:?} had: its verdict is {}; run `status` again \
         before the deploy",
        outcome.verdict
    );
    let deployment_id = outcome.deployment_id.as_deref();
    Ok(Baseline {
        deployment_id: deployment_id
            .map(|given| id("deploymentId", given))
            .transpose()?,
        created_at: outcome.deployment_created_at,
        noted_at: match outcome.deployment_id {
            Some(_) => outcome.server_time,
            // No details have shown the server's clock; this machine's may be ahead of it.
            None => report.started_at.checked_sub(CLOCK_SKEW).ok(),
        },
    })
}

/// Reads stdin to its end, for no longer than `limit`. Who holds it open is not waited for.
fn read_stdin(option: &str, limit: Duration) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more once the time is over.
        let _ = sender.send(read_text(io::stdin()));
    });
    let Ok(read) = receiver.recv_timeout(limit) else {
        let limit = short_duration(limit);
        bail!("{option}: stdin did not end within {limit}; did the command before the pipe hang?");
    };
    read.with_context(|| format!("{option}: cannot read stdin"))
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
            &"a".repeat(129),
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
