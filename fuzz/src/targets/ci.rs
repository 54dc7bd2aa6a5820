//! What CI systems are given: no foreign text acts as a command, ends a value early, or breaks a form.
//!
//! The first line chooses verdicts and numbers; the parts are the foreign texts, taken in turn.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::messages::{self, Mode};
use pipecat_rollout::fuzzing::output::forms;
use pipecat_rollout::fuzzing::rollout::{
    AgentReport, Outcome, Phase, PhaseEntry, Reason, Report, RevisionReport, Verdict,
};

use crate::input::{Steering, steered, text};
use crate::oracle::{assert_harmless, assert_no_command};

/// The most that GitHub takes of a summary, in bytes.
const MOST_SUMMARY: usize = 1024 * 1024;

pub(super) fn run(data: &[u8]) {
    let (mut steering, parts) = steered(data);
    let mut texts = parts.into_iter().map(text).cycle();
    let mut next = || texts.next().unwrap_or_default();
    let agents = (0..steering.choice(4)).map(|_| agent(&mut steering, &mut next));
    let report = Report::new(agents.collect());
    let path = steering.flag().then(|| PathBuf::from(next()));
    let value = path
        .as_ref()
        .map(|path| path.to_string_lossy().into_owned());
    // Numbers that repeat, so that a delimiter may be in the value.
    let mut numbers = steering.0.iter().copied().chain(0..).map(u64::from);
    let outputs = forms::outputs(&report, path.as_deref(), || {
        numbers.next().unwrap_or(u64::MAX)
    });
    github_output(&outputs, &report, &value.unwrap_or_default());
    dotenv(&forms::dotenv(&report), &report);
    junit(&forms::junit(&report), &report);
    summary(&report);
    let json = forms::json(&report);
    assert_harmless(&json);
    assert!(serde_json::from_str::<Report>(&json).is_ok());
    for title in [next(), next()] {
        log(&report, &title);
    }
}

fn agent(steering: &mut Steering<'_>, next: &mut impl FnMut() -> String) -> AgentReport {
    let verdict = *steering.pick(&Verdict::WORST_FIRST);
    let number = *steering.pick(&[0, 1, 59_999, 60_000, u64::MAX]);
    let reason = (verdict != Verdict::Ready).then(|| Reason {
        code: next(),
        summary: next(),
        message: steering.flag().then(&mut *next),
    });
    let agent = next();
    let outcome = Outcome {
        deployment_id: steering.flag().then(&mut *next),
        baseline_deployment_id: steering.flag().then(&mut *next),
        reason,
        available: *steering.pick(&[None, Some(true), Some(false)]),
        revision_unchanged: steering.flag(),
        revision: steering.flag().then(|| RevisionReport {
            phase: Some(next()),
            restart_count: Some(number),
            last_exit_code: Some(137),
            last_termination_reason: Some(next()),
            ..RevisionReport::default()
        }),
        elapsed: Duration::from_millis(number),
        phases: vec![
            PhaseEntry {
                phase: Phase::Waiting,
                at_ms: 0,
            },
            PhaseEntry {
                phase: Phase::Failed,
                at_ms: number,
            },
        ],
        polls: number,
        ..Outcome::new(verdict)
    };
    let began = *steering.pick(&[Timestamp::UNIX_EPOCH, Timestamp::MAX, Timestamp::MIN]);
    AgentReport {
        logs: (0..steering.choice(3)).map(|_| next()).collect(),
        ..AgentReport::new(agent, began, outcome)
    }
}

/// Reads the file as the runner does, and finds what was meant in it and nothing else.
fn github_output(file: &str, report: &Report, path: &str) {
    let mut lines = file.split('\n');
    let mut found = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (equals, Some(at)) if equals.is_none_or(|equals| at < equals) => {
                let delimiter = &line[at + 2..];
                let value: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| *line != delimiter)
                    .collect();
                found.push((&line[..at], value.join("\n")));
            }
            (Some(at), _) => found.push((&line[..at], line[at + 1..].to_owned())),
            (None, _) => panic!("{line:?} is no assignment"),
        }
    }
    assert_eq!(lines.next(), None, "something follows");
    let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    let meant = [
        "verdict",
        "exit-code",
        "deployment-id",
        "elapsed-ms",
        "verdicts",
        "report-path",
    ];
    assert_eq!(names, meant);
    assert_eq!(found[1].1, report.exit_code.to_string());
    assert_id(&found[2].1);
    assert_harmless(&found[4].1);
    assert!(serde_json::from_str::<serde_json::Value>(&found[4].1).is_ok());
    assert_eq!(found[5].1, path);
}

fn dotenv(file: &str, report: &Report) {
    let lines: Vec<(&str, &str)> = file
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    assert_eq!((lines.len(), file.lines().count()), (4, 4), "{file:?}");
    assert_eq!(
        lines[1],
        ("PIPECAT_ROLLOUT_EXIT_CODE", &*report.exit_code.to_string())
    );
    assert_id(lines[2].1);
}

/// Scripts use it in commands.
fn assert_id(id: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    assert!(id.bytes().all(plain) && !id.starts_with('-'), "{id:?}");
}

fn junit(document: &str, report: &Report) {
    let parsed = roxmltree::Document::parse(document).expect("it is XML");
    let named = |name| {
        parsed
            .descendants()
            .filter(move |node| node.has_tag_name(name))
    };
    assert_eq!(named("testcase").count(), report.agents.len());
    let bad = report
        .agents
        .iter()
        .filter(|agent| agent.outcome.verdict != Verdict::Ready)
        .count();
    assert_eq!(named("failure").count() + named("error").count(), bad);
    // Tags of its own making only.
    let tags = [
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "error",
        "system-out",
    ];
    let own = |node: &roxmltree::Node<'_, '_>| tags.contains(&node.tag_name().name());
    assert!(
        parsed
            .descendants()
            .filter(roxmltree::Node::is_element)
            .all(|node| own(&node))
    );
}

fn summary(report: &Report) {
    for there in [0, MOST_SUMMARY - 2000, MOST_SUMMARY, usize::MAX] {
        let page = forms::summary(report, there);
        assert!(page.is_empty() || there + page.len() <= MOST_SUMMARY);
        page.split('\n').for_each(assert_harmless);
        // Outside of fences there is no markup but the page's own.
        let mut fence: Option<&str> = None;
        for line in page.lines() {
            let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
            match fence {
                Some(open) if line == open => fence = None,
                // A fence ends at any line of as many ticks or more with nothing after.
                Some(open) => assert!(!ends(line, open), "{line:?} ends {open}"),
                None if ticks.len() >= 3 => fence = Some(ticks),
                None => assert_own(line),
            }
        }
        assert!(fence.is_none());
    }
}

fn ends(line: &str, open: &str) -> bool {
    let line = line.trim();
    line.len() >= open.len() && line.bytes().all(|byte| byte == b'`')
}

fn assert_own(line: &str) {
    let tags = [
        "<details><summary>The whole message</summary>",
        "<details><summary>Logs</summary>",
        "</details>",
    ];
    let page =
        line.rsplit_once(" <https://docs.pipecat.ai/pipecat-cloud/fundamentals/error-codes#");
    let line = page.map_or(line, |(words, _)| words);
    let own = tags.contains(&line) || !line.contains(['<', '>', '[', ']', '`', '\\', '@']);
    assert!(own, "{line:?} holds markup");
    if line.starts_with('|') {
        let cells = line.matches('|').count();
        assert!(cells == 8 || cells == 4, "{line:?} has {cells} cells");
    }
}

/// The log, line by line as the runners read it.
fn log(report: &Report, title: &str) {
    for mode in [Mode::Watch, Mode::Status] {
        let mut shown = match mode {
            Mode::Watch | Mode::Run => messages::result_table(&report.agents),
            Mode::Status => messages::check_table(&report.agents, Some(80)),
        };
        for agent in &report.agents {
            shown.push(messages::result_line(agent, mode));
            shown.extend(messages::failure_block(agent, mode));
            if let Some(annotation) = forms::annotation(agent, mode) {
                let levels = ["::error title=", "::warning title="];
                assert_command(&annotation, &levels);
            }
        }
        for line in &shown {
            assert_harmless(line);
            assert_no_command(line);
        }
    }
    assert_command(
        &forms::error(&pipecat_rollout::fuzzing::text::one_line(title)),
        &["::error title="],
    );
    assert_command(&forms::group(title), &["::group::"]);
    let section = forms::section(Timestamp::UNIX_EPOCH, title);
    let own = "\u{1b}[0Ksection_start:0:pipecat_rollout_0\r\u{1b}[0K";
    assert_harmless(section.strip_prefix(own).expect("a section begins as one"));
    let end = forms::end_section(Timestamp::MAX, Duration::MAX);
    assert!(end.starts_with("\u{1b}[0Ksection_end:") && !end.contains('\n'));
}

/// One line, one command, and that the one that was meant: no property or data ends it early.
fn assert_command(line: &str, meant: &[&str]) {
    assert_harmless(line);
    let rest = meant.iter().find_map(|start| line.strip_prefix(start));
    let rest = rest.unwrap_or_else(|| panic!("{line:?} is not as it was meant"));
    if meant[0].contains("title=") {
        let (title, data) = rest.split_once("::").expect("data");
        assert!(!title.contains([':', ',']), "{title:?} ends the property");
        assert_escaped(title);
        assert_escaped(data);
    } else {
        assert_escaped(rest);
    }
}

/// Every percent sign is one of an escape.
fn assert_escaped(text: &str) {
    for (at, _) in text.match_indices('%') {
        let escape = text.get(at..at + 3).unwrap_or_default();
        assert!(
            ["%25", "%0D", "%0A", "%3A", "%2C"].contains(&escape),
            "{text:?}"
        );
    }
}
