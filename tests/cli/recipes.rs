//! The workflows of docs/ci.md, run from their YAML against the simulator: they pass a rollout that gets ready, and stop
//! at one that fails.

use std::collections::BTreeMap;
use std::fs;

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::readme::texts;
use crate::support::simulator::Simulator;
use crate::support::{parse_yaml, project_text};
use crate::workflow::{Ended, Runner, our_action};

/// The vendor's command, as far as these recipes need it: it deploys what its file or the folder's names.
const PIPECAT: &str = r#"#!/bin/sh
[ "$1 $2" = "cloud deploy" ] || exit 2
file=pcc-deploy.toml
while [ $# -gt 0 ]; do [ "$1" != --config-file ] || file=$2; shift; done
agent=$(sed -n "s/^agent_name = '\(.*\)'$/\1/p" "$file")
exec /usr/bin/curl -fsS -o /dev/null -X POST -H "Authorization: Bearer $PIPECAT_TOKEN" "$PIPECAT_API_URL/agents/$agent"
"#;

const AGENTS: [(&str, &str); 4] = [
    ("", "my-agent"),
    (".staging", "my-agent-staging"),
    (".us-west", "my-agent-us-west"),
    (".eu-central", "my-agent-eu-central"),
];

const COMMIT: &str = "4f2c1d0e9b8a7f6e5d4c3b2a190817263544f2c1";

/// A build, then a deployment of the commit that was pushed.
const PUSHED: &str = r#"
summary = "a push"
verdict = "ready"
[before]
desiredDeploymentId = "{old}"
reconciledDeploymentId = "{old}"
ready = true
deployedCommit = { sha = "0123456789abcdef0123456789abcdef01234567" }
git = { repoFullName = "acme/voice", branch = "main", autoDeploy = true }
[[state]]
at = "0s"
latestDeploy = { id = "d", status = "building", commitSha = "4f2c1d0e9b8a7f6e5d4c3b2a190817263544f2c1" }
[[state]]
at = "5s"
desiredDeploymentId = "{new}"
reconciledDeploymentId = "{new}"
deployedCommit = { sha = "4f2c1d0e9b8a7f6e5d4c3b2a190817263544f2c1" }
latestDeploy = { status = "succeeded" }
"#;

/// A deploy that the API shows after a while.
const LATE: &str = r#"
summary = "late"
verdict = "ready"
[before]
desiredDeploymentId = "{old}"
reconciledDeploymentId = "{old}"
ready = true
[[state]]
at = "40s"
desiredDeploymentId = "{new}"
reconciledDeploymentId = "{new}"
"#;

/// A scenario in a file.
struct Scenario(tempfile::NamedTempFile);

impl Scenario {
    fn of(text: &str) -> Self {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        fs::write(file.path(), text).unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

/// The workflows of the page, by their names.
fn workflows() -> BTreeMap<String, Value> {
    let page = project_text("docs/ci.md");
    let block = Regex::new(r"(?s)```yaml\n# \.github/workflows/([a-z-]+)\.yml\n(.*?)```").unwrap();
    block
        .captures_iter(&page)
        .map(|found| (found[1].to_owned(), parse_yaml(&found[2])))
        .collect()
}

fn simulator(scenario: &str) -> Simulator {
    let agents = AGENTS.map(|(_, agent)| format!("--agent={agent}"));
    let arguments = [scenario, "--speed", "20"];
    Simulator::start(
        arguments
            .into_iter()
            .chain(agents.iter().map(String::as_str)),
    )
}

fn runner(url: &str) -> Runner {
    let runner = Runner::new(url)
        .program("pipecat", PIPECAT)
        .program("uv", "#!/bin/sh\n")
        .env("PIPECAT_ROLLOUT_POLL_INTERVAL", "200ms")
        .context("github.ref_name", "v1.2.3");
    AGENTS.iter().fold(runner, |runner, (part, agent)| {
        runner.file(
            &format!("pcc-deploy{part}.toml"),
            &format!("agent_name = '{agent}'\n"),
        )
    })
}

/// Runs a job of a workflow against a scenario.
fn run(workflow: &Value, job: &str, scenario: &str, region: &str) -> (Runner, Ended) {
    let simulator = simulator(scenario);
    let mut runner = runner(&simulator.url).context("matrix.region", region);
    let ended = runner.job(&workflow["jobs"][job]);
    (runner, ended)
}

fn passes_what_is_ready_and_stops_what_failed(workflow: &str, job: &str, region: &str) {
    let workflow = &workflows()[workflow];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (_, ended) = run(workflow, job, "rolling-update", region);
            assert_eq!(ended.code, 0, "{}", ended.log);
        });
        scope.spawn(|| {
            let (_, ended) = run(workflow, job, "phase-failed", region);
            assert_eq!(ended.code, 10, "{}", ended.log);
            let heading = "### ❌ my-agent";
            assert!(ended.summary.starts_with(heading), "{}", ended.summary);
        });
    });
}

#[test]
fn the_workflow_with_our_action_passes_ready_and_stops_failed_rollouts() {
    passes_what_is_ready_and_stops_what_failed("deploy", "deploy", "");
}

#[test]
fn the_workflow_beside_the_vendors_action_waits_for_the_new_deployment() {
    passes_what_is_ready_and_stops_what_failed("deploy-image", "deploy", "");
    // What was ready before is not taken for what the action has deployed, while it still shows.
    let late = Scenario::of(LATE);
    let simulator = simulator(late.path());
    let mut runner = runner(&simulator.url);
    let ended = runner.job(&workflows()["deploy-image"]["jobs"]["deploy"]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    let deployment = |id: &str| runner.outputs(id)["deployment-id"].clone();
    assert_ne!(deployment("rollout"), deployment("before"));
}

#[test]
fn the_workflow_for_several_regions_runs_one_after_the_other() {
    let workflows = workflows();
    let strategy = &workflows["deploy-regions"]["jobs"]["deploy"]["strategy"];
    assert_eq!(
        (&strategy["max-parallel"], strategy.get("fail-fast")),
        (&json!(1), None)
    );
    for region in texts(&strategy["matrix"]["region"]) {
        passes_what_is_ready_and_stops_what_failed("deploy-regions", "deploy", region);
    }
}

#[test]
fn the_workflow_with_approval_judges_staging_and_production() {
    let workflow = &workflows()["promote"];
    assert_eq!(workflow["jobs"]["production"]["needs"], "staging");
    assert_eq!(workflow["jobs"]["production"]["environment"], "production");
    passes_what_is_ready_and_stops_what_failed("promote", "production", "");
    // Ten minutes are more than a test has.
    let text = workflow["jobs"]["staging"].to_string();
    let quick: Value = serde_json::from_str(&text.replace("\"10m\"", "\"1s\"")).unwrap();
    assert_ne!(quick, workflow["jobs"]["staging"]);
    let quick = json!({"jobs": {"staging": quick}});
    let (_, ended) = run(&quick, "staging", "rolling-update", "");
    assert_eq!(ended.code, 0, "{}", ended.log);
    let (_, ended) = run(&quick, "staging", "crash-loop", "");
    assert_eq!(ended.code, 10, "{}", ended.log);
}

#[test]
fn the_workflow_on_push_follows_the_commit_through_its_build() {
    let workflow = &workflows()["rollout"];
    let pushed = Scenario::of(PUSHED);
    let simulator = Simulator::start([
        pushed.path(),
        "--agent=my-agent",
        "--autoplay",
        "--speed",
        "20",
    ]);
    let mut runner = runner(&simulator.url)
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_SHA", COMMIT);
    let ended = runner.job(&workflow["jobs"]["rollout"]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(ended.log.contains("building"), "{}", ended.log);
}

#[test]
fn each_has_a_concurrency_group_and_the_fewest_rights() {
    let workflows = workflows();
    assert_eq!(workflows.len(), 5);
    for (name, workflow) in workflows {
        let jobs = workflow["jobs"].as_object().unwrap();
        let group =
            |it: &Value| it["concurrency"].is_string() || it["concurrency"]["group"].is_string();
        assert!(group(&workflow) || jobs.values().all(group), "{name}");
        assert_eq!(
            workflow["permissions"],
            json!({"contents": "read"}),
            "{name}"
        );
        let used = |job: &Value| {
            let steps = job["steps"].as_array().unwrap();
            steps
                .iter()
                .any(|it| it["uses"] == format!("{}@v0", our_action()))
        };
        assert!(jobs.values().all(used), "{name}");
    }
}
