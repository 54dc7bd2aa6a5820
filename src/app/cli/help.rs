//! What `--help` teaches: examples, exit codes, and the words that several commands share.
//!
//! A paragraph is one line: it is wrapped at the width of the terminal.

/// The options that `-h` shows of those that a variable can set; `--help` shows them all.
pub(super) const COMMON: &str = "api_key_file baseline config deployment exclude include listen \
     output progress simulate stable_for store timeout until webhook";

/// The options of which each names the deployment to judge.
pub(super) const TARGETS: [&str; 4] = ["deployment", "baseline", "not_deployment", "commit"];

/// What is about some agents, and not about every agent of the organization.
pub(super) const OF_SOME_AGENTS: [&str; 7] = [
    "agents",
    "config_file",
    "deployment",
    "baseline",
    "not_deployment",
    "commit",
    "simulate",
];

// The headings of the options of `watch`.
pub(super) const API: &str = "API";
pub(super) const AGENTS: &str = "Agents";
pub(super) const STORING: &str = "Store";
pub(super) const HTTP: &str = "HTTP";
pub(super) const DELIVERY: &str = "Delivery";

pub(super) const CONFIG_FILE: &str = "Take the agent's name from this file";

pub(super) const CONFIG_FILE_LONG: &str = "\
Take the agent's name from this file: its `agent_name`, instead of that in ./pcc-deploy.toml \
[env: PIPECAT_DEPLOY_CONFIG_PATH]";

pub(super) const API_URL: &str =
    "Address of the API; without it, PIPECAT_API_HOST [default: https://api.pipecat.daily.co/v1]";

pub(super) const KEY_FILE: &str = "File with the private API key";

pub(super) const KEY_FILE_LONG: &str = "\
File with the private API key; without it, PIPECAT_API_KEY, PCC_API_KEY or PIPECAT_CLOUD_API_KEY holds \
the key, else what the vendor's CLI uses is taken: PIPECAT_TOKEN, or its login";

pub(super) const CA_FILE: &str = "File of further certificate authorities to trust (PEM)";

pub(super) const INSECURE_HTTP: &str =
    "Allow plain http to other machines, with the key in the open";

pub(super) const STORE: &str = "File with the state and the history of `watch`";

pub(super) const STORE_LONG: &str = "\
File with the state, the history and the events to deliver of `watch` [default: pipecat-rollout.db in \
$STATE_DIRECTORY, else in $XDG_STATE_HOME/pipecat-rollout, else in ~/.local/state/pipecat-rollout]";

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0 ready   3 unauthorized   4 not-found   5 unavailable (state unknown)
  10 failed   11 stalled   12 superseded   13 unchanged   14 infrastructure
  124 timeout   130/143/129 interrupted   2 wrong usage   1 internal error
  of `run`, command-failed: the code of the command";

pub(super) const OVERVIEW: &str = "\
Examples:
  pipecat-rollout wait-for-ready my-agent       wait, and exit with the verdict
  pipecat-rollout run my-agent -- ./deploy.sh   deploy, then wait for the deployment
  pipecat-rollout status my-agent               check once
  pipecat-rollout watch                         follow all rollouts of the organization
  pipecat-rollout history --since 7days         what watch has seen
  pipecat-rollout wait a --simulate crash-loop  a rehearsal, without an account

Credentials are a private API key (--api-key-file, PIPECAT_API_KEY, PCC_API_KEY, PIPECAT_CLOUD_API_KEY), \
else those of the vendor's CLI: PIPECAT_TOKEN, or the login of `pipecat cloud auth login`.";

pub(super) const WAIT: &str = "\
Examples:
  pipecat-rollout wait-for-ready my-agent
  pipecat-rollout wait-for-ready my-agent --baseline before.json --timeout 15m
  ./deploy.sh | pipecat-rollout wait-for-ready my-agent --deployment -
  pipecat-rollout wait-for-ready agent-us agent-eu --output json
  pipecat-rollout wait-for-ready a --simulate crash-loop --speed 10";

pub(super) const RUN: &str = "\
Examples:
  pipecat-rollout run my-agent -- pipecat cloud deploy --yes
  pipecat-rollout run my-agent --report-file report.json -- ./deploy.sh

The deployment to judge is the first that was not there before the command. A verdict that is not ready is \
reported at once, and the command is asked to end (SIGTERM, 10 seconds later SIGKILL). The exit code is the \
verdict's where that is not ready, else the command's: 126 and 127 when it could not be started. If the \
baseline cannot be read (3, 5), the command is not run. With --output json, stdout is for the report alone: \
what the command prints goes to stderr.";

pub(super) const STATUS: &str = "\
Examples:
  pipecat-rollout status my-agent
  pipecat-rollout status my-agent --output json > before.json
  pipecat-rollout status --all --include 'prod-*' --region us-west";

pub(super) const WATCH: &str = "\
Examples:
  pipecat-rollout watch --demo     a simulated organization, without an account
  pipecat-rollout watch            every agent of the organization
  pipecat-rollout watch my-agent   one agent, without the list
  pipecat-rollout watch --once     one pass, for cron
  pipecat-rollout watch --config /etc/pipecat-rollout.toml --check-config
  pipecat-rollout watch --webhook https://example.com/hook

Endpoints, on 127.0.0.1:9464: / (the page) /livez /readyz /metrics /v1/agents /v1/rollouts

SIGTERM finishes deliveries and exits 0. A pass of --once exits 0 when it was made, whatever it found; 3 when \
the key was refused, 5 when the API gave no usable answer. 2: a retry will not help, because of wrong usage, a \
store that is damaged or not ours, or a sink that cannot be used. 1: a retry may help, because a store is full \
or in use, an address is taken, or something could not be saved.";

pub(super) const HISTORY: &str = "\
Examples:
  pipecat-rollout history
  pipecat-rollout history my-agent --since 7days
  pipecat-rollout history --since 30days --by week
  pipecat-rollout history --verdict failed,timeout --output json";

pub(super) const SIMULATE: &str = "\
Examples:
  pipecat-rollout simulate --list
  pipecat-rollout simulate crash-loop --agent my-agent
  pipecat-rollout simulate --agent a --agent b=image-pull --speed 10

It prints the environment that points this program and the vendor's CLI at it. A deploy, by the API's paths or \
the CLI's, starts the timeline of an agent; --autoplay starts it with the first read instead.";

pub(super) const MCP: &str = "\
Examples:
  claude mcp add pipecat-rollout -- pipecat-rollout mcp
  pipecat-rollout mcp --simulate crash-loop --speed 10    without an account

Tools: status, wait_for_rollout, history, explain_verdict. They only read.
They ask the API as `status` does, with the key that each call finds.
The server ends when its stdin does.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  pipecat-rollout completions bash > /etc/bash_completion.d/pipecat-rollout
  pipecat-rollout completions zsh > \"${fpath[1]}/_pipecat-rollout\"
  pipecat-rollout completions fish > ~/.config/fish/completions/pipecat-rollout.fish";

#[cfg(test)]
mod tests {
    use super::EXIT_CODES;
    use crate::core::rollout::Verdict;

    #[test]
    fn every_verdict_is_in_the_help_with_its_exit_code() {
        let words: Vec<&str> = EXIT_CODES.split([' ', '\n', '/']).collect();
        for verdict in Verdict::WORST_FIRST {
            let code = verdict.exit_code().to_string();
            let word = verdict.as_str();
            assert!(EXIT_CODES.contains(word), "{verdict}");
            if matches!(verdict, Verdict::CommandFailed(_)) {
                continue;
            }
            assert!(words.contains(&code.as_str()), "{code}");
            assert!(words.contains(&verdict.as_str()), "{verdict}");
        }
    }
}
