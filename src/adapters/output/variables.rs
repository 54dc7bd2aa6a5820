//! The verdict as variables: the outputs of a step on GitHub Actions, a dotenv artifact on GitLab.

use std::collections::BTreeMap;
use std::path::Path;

use crate::core::rollout::{AgentReport, Report, Verdict, whole_millis, worst};
use crate::core::text::harmless_json;

/// The longest deployment id that is handed on. Real ones have 36 characters.
const MAX_ID: usize = 128;

/// The outputs of a step, in the form of `GITHUB_OUTPUT`.
#[must_use]
pub fn outputs(
    report: &Report,
    report_path: Option<&Path>,
    mut random: impl FnMut() -> u64,
) -> String {
    let path = report_path.map(|path| path.to_string_lossy().into_owned());
    let more = [
        ("verdicts", verdicts(report)),
        ("report-path", path.unwrap_or_default()),
    ];
    let values = values(report).into_iter().chain(more);
    values
        .map(|(name, value)| assignment(name, &value, &mut random))
        .collect()
}

/// The variables of a dotenv artifact: one a line, no quotes.
#[must_use]
pub fn dotenv(report: &Report) -> String {
    let lines = values(report).map(|(name, value)| {
        let name = name.replace('-', "_").to_uppercase();
        format!("PIPECAT_ROLLOUT_{name}={value}\n")
    });
    lines.concat()
}

/// The verdict and the exit code of the worst agent, the deployment and the time of the first.
fn values(report: &Report) -> [(&'static str, String); 4] {
    let first = report.agents.first();
    let elapsed_ms = first.map(|agent| whole_millis(agent.outcome.elapsed).to_string());
    [
        ("verdict", verdict(report).to_owned()),
        ("exit-code", report.exit_code.to_string()),
        (
            "deployment-id",
            first.map(deployment_id).unwrap_or_default(),
        ),
        ("elapsed-ms", elapsed_ms.unwrap_or_default()),
    ]
}

/// `name=value`; a value of several lines is between delimiters that do not occur in it.
fn assignment(name: &str, value: &str, random: &mut impl FnMut() -> u64) -> String {
    if !value.contains(['\n', '\r']) {
        return format!("{name}={value}\n");
    }
    let delimiter = loop {
        let delimiter = format!("end-{:016x}{:016x}", random(), random());
        if !value.contains(&delimiter) {
            break delimiter;
        }
    };
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// The word of the worst verdict; of no agents there is nothing bad to say.
fn verdict(report: &Report) -> &'static str {
    let verdicts = report.agents.iter().map(|agent| agent.outcome.verdict);
    worst(verdicts).unwrap_or(Verdict::Ready).as_str()
}

/// An agent's deployment.
///
/// Scripts use it in commands. What is not like an id is left out; the report has it.
fn deployment_id(agent: &AgentReport) -> String {
    let usable = |id: &&str| {
        id.len() <= MAX_ID
            && id.starts_with(|char: char| char.is_ascii_alphanumeric())
            && id
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.'))
    };
    let id = agent.outcome.deployment_id.as_deref();
    id.filter(usable).unwrap_or_default().to_owned()
}

/// Every agent's verdict, as a JSON object on one line.
fn verdicts(report: &Report) -> String {
    let verdicts = report
        .agents
        .iter()
        .map(|agent| (agent.agent.as_str(), agent.outcome.verdict));
    let verdicts: BTreeMap<&str, Verdict> = verdicts.collect();
    harmless_json(&serde_json::to_string(&verdicts).expect("words have a JSON form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::output::samples::{agent, failed, ready};

    fn counting() -> impl FnMut() -> u64 {
        let mut next = 0;
        move || {
            next += 1;
            next
        }
    }

    #[test]
    fn the_outputs_are_the_whole_s_the_first_agent_s_and_each_one_s() {
        let report = Report::new(vec![ready("b"), failed("a", "boom")]);
        assert_eq!(
            outputs(&report, Some(Path::new("/w/report.json")), counting()),
            "verdict=failed\n\
             exit-code=10\n\
             deployment-id=59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3\n\
             elapsed-ms=12345\n\
             verdicts={\"a\":\"failed\",\"b\":\"ready\"}\n\
             report-path=/w/report.json\n"
        );
        assert_eq!(
            outputs(&Report::new(vec![]), None, counting()),
            "verdict=ready\nexit-code=0\ndeployment-id=\nelapsed-ms=\nverdicts={}\nreport-path=\n"
        );
    }

    #[test]
    fn a_value_of_several_lines_cannot_end_itself() {
        let own = format!("end-{:016x}{:016x}", 1, 2);
        let value = format!("a\n{own}\nverdict=ready");
        assert_eq!(
            assignment("x", &value, &mut counting()),
            "x<<end-00000000000000030000000000000004\na\n\
             end-00000000000000010000000000000002\nverdict=ready\n\
             end-00000000000000030000000000000004\n"
        );
        assert_eq!(assignment("x", "a<<b", &mut counting()), "x=a<<b\n");
    }

    #[test]
    fn only_what_can_be_an_id_is_handed_on() {
        let given = |id: &str| {
            let mut report = agent("a", Verdict::Failed);
            report.outcome.deployment_id = Some(id.to_owned());
            deployment_id(&report)
        };
        for id in ["new", "59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3", "v1.2_3"] {
            assert_eq!(given(id), id);
        }
        let long = "a".repeat(129);
        for id in [
            "a\nB=1", "$(id)", "`id`", "a b", "\"", "--help", "é", "", &long,
        ] {
            assert_eq!(given(id), "", "{id:?}");
        }
    }

    #[test]
    fn the_variables_are_one_a_line() {
        assert_eq!(
            dotenv(&Report::new(vec![failed("a", "boom")])),
            "PIPECAT_ROLLOUT_VERDICT=failed\n\
             PIPECAT_ROLLOUT_EXIT_CODE=10\n\
             PIPECAT_ROLLOUT_DEPLOYMENT_ID=59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3\n\
             PIPECAT_ROLLOUT_ELAPSED_MS=12345\n"
        );
    }
}
