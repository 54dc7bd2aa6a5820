//! What `--help` teaches: examples, and the exit codes.

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0 ready   3 unauthorized   4 not-found   5 unavailable (state unknown)
  10 failed   11 stalled   12 superseded   13 unchanged   14 infrastructure
  124 timeout   130/143/129 interrupted   2 wrong usage   1 internal error
  of `run`, command-failed: the code of the command"
    };
}

pub(super) const EXIT_CODES: &str = exit_codes!();

pub(super) const OVERVIEW: &str = concat!(
    "\
Examples:
  pipecat-rollout wait-for-ready my-agent          wait, watch, and exit with the verdict
  pipecat-rollout run my-agent -- ./deploy.sh      deploy, then wait for what was deployed
  pipecat-rollout status my-agent                  look once
  pipecat-rollout watch                            follow every rollout of the organization
  pipecat-rollout history --since 7days            what watch has seen
  pipecat-rollout wait voice-starter --simulate crash-loop
                                                   a rehearsal, without an account

It asks with a private API key (--api-key-file, PIPECAT_API_KEY, PCC_API_KEY, PIPECAT_CLOUD_API_KEY), else
as the vendor's CLI does: with PIPECAT_TOKEN, or the login of `pipecat cloud auth login`.

",
    exit_codes!()
);

pub(super) const WAIT: &str = concat!(
    "\
Examples:
  pipecat-rollout wait-for-ready my-agent
  pipecat-rollout wait-for-ready my-agent --baseline before.json --timeout 15m
  ./deploy.sh | pipecat-rollout wait-for-ready my-agent --deployment -
  pipecat-rollout wait-for-ready agent-us agent-eu --output json --report-file report.json
  pipecat-rollout wait-for-ready voice-starter --simulate crash-loop --speed 10

",
    exit_codes!()
);

pub(super) const RUN: &str = concat!(
    "\
Examples:
  pipecat-rollout run my-agent -- pipecat cloud deploy --yes
  pipecat-rollout run my-agent --timeout 15m --report-file report.json -- ./deploy.sh

The deployment to judge is the first that was not there before the command. A verdict that is not
ready is reported at once, and the command is asked to end (SIGTERM, 10 seconds later SIGKILL). The exit
code is the verdict's where that is not ready, else the command's: 126 and 127 when it could not be
started. If the baseline cannot be read (3, 5), the command is not run.

",
    exit_codes!()
);

pub(super) const STATUS: &str = concat!(
    "\
Examples:
  pipecat-rollout status my-agent
  pipecat-rollout status my-agent --output json > before.json
  pipecat-rollout status --all --include 'prod-*' --region us-west

",
    exit_codes!()
);

pub(super) const WATCH: &str = "\
Examples:
  pipecat-rollout watch --demo                     a simulated organization, without an account
  pipecat-rollout watch                            every agent of the organization
  pipecat-rollout watch my-agent                   one agent, without the list
  pipecat-rollout watch --config /etc/pipecat-rollout.toml --check-config
  pipecat-rollout watch --webhook https://example.com/hook --webhook-secret-file /run/secrets/hook
  pipecat-rollout watch --once                     one pass, for cron

On 127.0.0.1:9464: the page at /, /livez /readyz /metrics /v1/agents /v1/rollouts
SIGTERM finishes deliveries and exits 0. A pass of --once exits 0 when it was made, whatever it found;
3 when the key was refused, 5 when the API gave no usable answer. 2 is wrong usage, a store that is
damaged or none of ours, a sink that cannot be used; 1 is what another start may find mended: a store
that is full or in use, an address that is taken, or that something could not be written down.";

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
  pipecat-rollout simulate --agent a --agent b=image-pull --speed 10 --listen 127.0.0.1:8080

It prints the environment that points this program and the vendor's CLI at it. A deploy, by the API's
paths or the CLI's, starts the timeline of an agent; --autoplay starts it with the first read instead.";

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
