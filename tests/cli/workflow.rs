//! Workflows of GitHub Actions, run as the runner would run them, as far as our action and recipes need it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex_lite::{Captures, Regex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::release::{Fault, executable, publish, target};
use crate::runner::{FILES, outputs};
use crate::support::{KEY, SECRET, parse_yaml, project, project_text};

/// What our action is called in a workflow, before the `@`.
pub(crate) fn our_action() -> &'static str {
    let (_, action) = env!("CARGO_PKG_REPOSITORY")
        .split_once("github.com/")
        .unwrap();
    action
}

/// A runner with one job, its folder and its log.
pub(crate) struct Runner {
    folder: TempDir,
    env: BTreeMap<String, OsString>,
    /// What expressions mean, but for the outputs of steps: `github.sha`, `secrets.…`.
    context: BTreeMap<String, String>,
    outputs: BTreeMap<String, BTreeMap<String, String>>,
    added_to_path: Vec<String>,
    steps: usize,
}

/// How a step ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Stdout and stderr.
    pub(crate) log: String,
    pub(crate) summary: String,
}

impl Runner {
    /// A runner on this machine, against the API at `url`, with a release that is in order.
    pub(crate) fn new(url: &str) -> Self {
        Self::with_release(url, &target(), Fault::None)
    }

    /// A runner with a release for this target.
    pub(crate) fn with_release(url: &str, target: &str, fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut env: BTreeMap<String, OsString> = publish(folder.path(), target, fault)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let workspace = folder.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        for (name, value) in [
            ("CI", "true".into()),
            ("GITHUB_ACTIONS", "true".into()),
            ("GITHUB_WORKSPACE", workspace.into_os_string()),
            ("GITHUB_REPOSITORY", "acme/voice".into()),
            ("PIPECAT_API_URL", url.into()),
        ] {
            env.insert(name.to_owned(), value);
        }
        let context = [
            ("github.token", "ghs_5ecret"),
            ("secrets.PIPECAT_API_KEY", KEY),
            ("secrets.PIPECAT_TOKEN", "pcc_pat_5ecret"),
        ];
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            folder,
            env,
            context: context.into(),
            outputs: BTreeMap::new(),
            added_to_path: Vec::new(),
            steps: 0,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// What an expression means.
    pub(crate) fn context(mut self, name: &str, value: &str) -> Self {
        self.context.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A program on the path.
    pub(crate) fn program(self, name: &str, script: &str) -> Self {
        executable(&self.folder().join("bin").join(name), script);
        self
    }

    /// A file of the repository.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.workspace().join(name), text).unwrap();
        self
    }

    /// Where the release is, and what programs note.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder().join("workspace")
    }

    /// The outputs of the step with this id.
    pub(crate) fn outputs(&self, id: &str) -> &BTreeMap<String, String> {
        &self.outputs[id]
    }

    /// Uses our action with these inputs.
    pub(crate) fn action(&mut self, with: &Value) -> Ended {
        self.step(&json!({"id": "action", "uses": format!("{}@v0", our_action()), "with": with}))
    }

    /// Runs the steps of a job up to one that fails, and gives how the last one ended.
    pub(crate) fn job(&mut self, job: &Value) -> Ended {
        let mut last = None;
        for step in job["steps"].as_array().unwrap() {
            let ended = self.step(step);
            let failed = ended.code != 0;
            last = Some(ended);
            if failed {
                break;
            }
        }
        last.unwrap()
    }

    /// Runs a step of a job.
    pub(crate) fn step(&mut self, step: &Value) -> Ended {
        let (action, _) = step["uses"]
            .as_str()
            .unwrap_or_default()
            .split_once('@')
            .unwrap_or_default();
        match action {
            "" => {
                let (ended, found) = self.script(step, &BTreeMap::new());
                self.keep(step, found);
                ended
            }
            "actions/checkout" | "astral-sh/setup-uv" => {
                self.script(&json!({"run": "true"}), &BTreeMap::new()).0
            }
            "daily-co/pipecat-cloud-deploy-action" => self.vendors_action(&step["with"]),
            ours => {
                assert_eq!(ours, our_action(), "an action that nobody knows here");
                self.our_action(step)
            }
        }
    }

    /// Our action, from its YAML.
    fn our_action(&mut self, step: &Value) -> Ended {
        let action = parse_yaml(&project_text("action.yml"));
        let given = step["with"].as_object().cloned().unwrap_or_default();
        for input in given.keys() {
            assert!(action["inputs"][input].is_object(), "no input {input}");
        }
        // The runner takes a default only where an input is not there at all.
        let mut context = BTreeMap::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let value = given.get(name).unwrap_or(&input["default"]);
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            context.insert(
                format!("inputs.{name}"),
                self.evaluate(&value, &BTreeMap::new()),
            );
        }
        let mut log = String::new();
        for inner in action["runs"]["steps"].as_array().unwrap() {
            if let Some(condition) = inner["if"].as_str() {
                let (name, other) = condition.split_once(" != ").unwrap();
                if context[name] == other.trim_matches('\'') {
                    continue;
                }
            }
            let (ended, found) = self.script(inner, &context);
            log += &ended.log;
            for (name, value) in found {
                context.insert(
                    format!("steps.{}.outputs.{name}", inner["id"].as_str().unwrap()),
                    value,
                );
            }
            if ended.code != 0
                || inner == action["runs"]["steps"].as_array().unwrap().last().unwrap()
            {
                self.keep_outputs_of(step, &action, &context);
                return Ended { log, ..ended };
            }
        }
        Ended {
            code: 0,
            log,
            summary: String::new(),
        }
    }

    fn keep_outputs_of(
        &mut self,
        step: &Value,
        action: &Value,
        context: &BTreeMap<String, String>,
    ) {
        let forwarded = action["outputs"].as_object().unwrap().iter();
        let found = forwarded.map(|(name, output)| {
            (
                name.clone(),
                self.evaluate(output["value"].as_str().unwrap(), context),
            )
        });
        let found = found.collect();
        self.keep(step, found);
    }

    fn keep(&mut self, step: &Value, found: BTreeMap<String, String>) {
        if let Some(id) = step["id"].as_str() {
            self.outputs.insert(id.to_owned(), found);
        }
    }

    /// The vendor's action: it deploys, and is not to wait.
    fn vendors_action(&mut self, with: &Value) -> Ended {
        assert_eq!(with["wait-for-ready"], false);
        let run = "/usr/bin/curl -fsS -X POST -H \"Authorization: Bearer $KEY\" \"$PIPECAT_API_URL/agents/$AGENT\"";
        let env = json!({"KEY": with["api-key"], "AGENT": with["agent-name"]});
        self.script(&json!({"run": run, "env": env}), &BTreeMap::new())
            .0
    }

    /// A step with a script; gives its outputs as well.
    fn script(
        &mut self,
        step: &Value,
        context: &BTreeMap<String, String>,
    ) -> (Ended, BTreeMap<String, String>) {
        self.steps += 1;
        let files = self.folder().join(format!("step-{}", self.steps));
        fs::create_dir(&files).unwrap();
        let path = [
            self.added_to_path.join(":"),
            self.env["PATH"].clone().into_string().unwrap(),
        ];
        let path = path.join(":");
        let within = self.evaluate(step["working-directory"].as_str().unwrap_or("."), context);
        let script = step["run"].as_str().unwrap();
        assert!(
            !script.contains("${{"),
            "an expression in a script is code: {script}"
        );
        let log = fs::File::create(files.join("log")).unwrap();
        let mut command = Command::new("bash");
        command
            // As GitHub runs `shell: bash`.
            .args([
                "--noprofile",
                "--norc",
                "-e",
                "-o",
                "pipefail",
                "-c",
                script,
            ])
            .env_clear()
            .envs(&self.env)
            .env("PATH", path.trim_start_matches(':'))
            .env("GITHUB_ACTION_PATH", project(""))
            .current_dir(self.workspace().join(within))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        for (name, file) in FILES {
            fs::write(files.join(file), "").unwrap();
            command.env(name, files.join(file));
        }
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            command.env(name, self.evaluate(&value, context));
        }
        let status = command.status().unwrap();
        let read = |file: &str| fs::read_to_string(files.join(file)).unwrap();
        let paths: Vec<String> = read("add_path").lines().map(str::to_owned).collect();
        self.added_to_path.splice(0..0, paths);
        let ended = Ended {
            code: status.code().unwrap(),
            log: read("log"),
            summary: read("step_summary"),
        };
        assert!(
            !ended.log.contains(SECRET),
            "a secret is in the log: {}",
            ended.log
        );
        (ended, outputs(&read("set_output")))
    }

    /// A text with its expressions replaced.
    fn evaluate(&self, text: &str, context: &BTreeMap<String, String>) -> String {
        let expression = Regex::new(r"\$\{\{ ([^}]+) \}\}").unwrap();
        let value = |found: &Captures| {
            let name = &found[1];
            let output = || {
                let (id, output) = name.strip_prefix("steps.")?.split_once(".outputs.")?;
                // That of a step that did not come so far is empty.
                Some(
                    self.outputs
                        .get(id)?
                        .get(output)
                        .cloned()
                        .unwrap_or_default(),
                )
            };
            let known = context.get(name).or(self.context.get(name)).cloned();
            let is_output = name.starts_with("steps.");
            let value = known.or_else(output).or(is_output.then(String::new));
            value.unwrap_or_else(|| panic!("nobody knows {name}"))
        };
        expression.replace_all(text, value).into_owned()
    }
}
