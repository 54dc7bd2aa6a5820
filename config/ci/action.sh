#!/usr/bin/env bash
# The second step of action.yml: runs the program as its inputs say.
#
# Every input arrives in a variable INPUT_…; what is empty was not given.
set -euo pipefail

refuse() {
    echo "::error title=pipecat-rollout::$*"
    exit 2
}

if [[ -n ${INPUT_API_KEY:-} ]]; then export PIPECAT_API_KEY=$INPUT_API_KEY; fi
if [[ -n ${INPUT_PIPECAT_TOKEN:-} ]]; then export PIPECAT_TOKEN=$INPUT_PIPECAT_TOKEN; fi
unset INPUT_API_KEY INPUT_PIPECAT_TOKEN
given=${PIPECAT_API_KEY:-}${PCC_API_KEY:-}${PIPECAT_CLOUD_API_KEY:-}${PIPECAT_TOKEN:-}
given+=${PIPECAT_ROLLOUT_API_KEY_FILE:-}${PIPECAT_CONFIG_PATH:-}${INPUT_SIMULATE:-}${PIPECAT_ROLLOUT_SIMULATE:-}
[[ -n $given ]] || refuse "no key: the inputs api-key and pipecat-token are empty. So is a secret that does not exist," \
    "or that this run may not see: a pull request from a fork, Dependabot, or a job without the secret's environment"

agents=()
read -r -d '' -a agents <<<"${INPUT_AGENT:-}" || true
switches=()
for switch in baseline deployment timeout stable-for report-file junit simulate; do
    input=INPUT_$(tr a-z- A-Z_ <<<"$switch")
    if [[ -n ${!input:-} ]]; then switches+=("--$switch=${!input}"); fi
done
deploy=${INPUT_RUN:-}
deploy=${deploy%$'\n'}

# An empty list counts as not set for the bash of macOS.
if [[ ${INPUT_BASELINE_ONLY:-false} == true ]]; then
    [[ -z $deploy ]] || refuse "baseline-only: run notes the baseline by itself, and needs no step before it"
    if [[ -z ${INPUT_REPORT_FILE:-} ]]; then
        folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/pipecat-rollout.XXXXXX")
        switches+=("--report-file=$folder/baseline.json")
    fi
    code=0
    "$PROGRAM" status ${switches[@]+"${switches[@]}"} -- ${agents[@]+"${agents[@]}"} || code=$?
    # What is deployed is known, also that there is nothing or that it is not ready.
    case $code in
        0 | 4 | 1? | 124) exit 0 ;;
    esac
    echo "::error title=pipecat-rollout::what is deployed now is unknown, so that a deploy could not be judged"
    exit "$code"
fi

if [[ -z $deploy ]]; then
    # In the place of this shell, so that it is the program that a cancelled run interrupts.
    exec "$PROGRAM" wait-for-ready ${switches[@]+"${switches[@]}"} -- ${agents[@]+"${agents[@]}"}
fi
((${#agents[@]} < 2)) || refuse "agent: run deploys one agent, not ${#agents[@]}; use a matrix"
[[ ${agents[0]:-} != -* ]] || refuse "agent: a name does not begin with -"
# Plain words are handed on as they are: the program then knows the vendor's CLI, and which agent that deploys.
words=(bash --noprofile --norc -eo pipefail -c "$deploy")
plain='^[A-Za-z0-9_./-]+( +[A-Za-z0-9_./=:,@%+-]+)* *$'
if [[ $deploy =~ $plain && -n $(type -P "${deploy%% *}") ]]; then
    read -r -a words <<<"$deploy"
fi
exec "$PROGRAM" run ${switches[@]+"${switches[@]}"} ${agents[@]+"${agents[@]}"} -- "${words[@]}"
