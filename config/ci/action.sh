#!/usr/bin/env bash
# The step of action.yml: fetches the released program, proves that it is the released one, runs it.
#
# Every input arrives in a variable INPUT_…; what is empty was not given.
set -euo pipefail

refuse() {
    echo "::error title=pipecat-rollout::$*"
    exit 2
}

# What begins with ::, or holds a line break, could be a command to the runner.
shown() { printf '%q' "$1"; }

command=${INPUT_COMMAND:-wait-for-ready}
case $command in
    wait-for-ready | status) ;;
    *) refuse "command is wait-for-ready or status, not $(shown "$command")" ;;
esac

version=${INPUT_VERSION:-}
# An action that is pinned to a release runs that release.
if [[ -z $version && ${ACTION_REF:-} =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]]; then
    version=$ACTION_REF
fi
if [[ -n $version && ! $version =~ ^[A-Za-z0-9._-]+$ ]]; then
    refuse "version is the tag of a release, not $(shown "$version")"
fi

system=$(uname -s)
[[ $system == Linux ]] || refuse "there is no released program for $(shown "$system"); use a Linux runner"
case $(uname -m) in
    x86_64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) refuse "there is no released program for $(shown "$(uname -m)")" ;;
esac

name=pipecat-rollout-$arch-unknown-linux-musl
archive=$name.tar.gz
releases=${GITHUB_SERVER_URL:-https://github.com}/${ACTION_REPOSITORY:-$GITHUB_REPOSITORY}/releases
from=$releases/latest/download
[[ -z $version ]] || from=$releases/download/$version

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/pipecat-rollout.XXXXXX")
for file in "$archive" SHA256SUMS; do
    curl --fail --silent --show-error --location --proto '=https' --retry 3 --max-time 120 \
        --output "$folder/$file" "$from/$file" ||
        refuse "cannot download $file of the release ${version:-latest}"
done

# Exactly the line of this archive: a list that does not name it proves nothing.
awk -v name="$archive" '$2 == name || $2 == "*" name' "$folder/SHA256SUMS" >"$folder/wanted"
[[ $(wc -l <"$folder/wanted") -eq 1 ]] || refuse "SHA256SUMS does not name $archive once"
(cd "$folder" && sha256sum --check --strict --status wanted) ||
    refuse "the checksum of $archive is wrong: it is not what was released"
tar -xzf "$folder/$archive" -C "$folder"
program=$folder/$name/pipecat-rollout
[[ -x $program ]] || refuse "$archive holds no program"

# The program reads its switches from the environment as well.
for switch in DEPLOYMENT NOT_DEPLOYMENT TIMEOUT STABLE_FOR REPORT_FILE JUNIT SIMULATE; do
    input=INPUT_$switch
    if [[ -n ${!input:-} ]]; then
        export "PIPECAT_ROLLOUT_$switch=${!input}"
    fi
done
if [[ -n ${INPUT_API_KEY:-} ]]; then
    export PIPECAT_API_KEY=$INPUT_API_KEY
fi
unset INPUT_API_KEY

agents=()
read -r -d '' -a agents <<<"${INPUT_AGENT:-}" || true
# In the place of this shell, so that it is the program that a cancelled run interrupts.
exec "$program" "$command" -- "${agents[@]}"
