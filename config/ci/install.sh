#!/usr/bin/env bash
# The first step of action.yml: fetches the released program, proves that it is the released one, and puts it on the path.
#
# Cargo.toml says which release that is, and whose, however the action is pinned: what GitHub knows of an action that is
# used within a composite one is the outer one's repository and reference.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

refuse() {
    echo "::error title=pipecat-rollout::$*"
    exit 2
}

field() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$here/Cargo.toml" | head -n 1; }

version=v$(field version)
repository=$(field repository)
case $(uname -s)-$(uname -m) in
    Linux-x86_64) target=x86_64-unknown-linux-musl ;;
    Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    *) refuse "there is no released program for this runner; use one with Linux or macOS, on x86_64 or arm64" ;;
esac
name=pipecat-rollout-$target
archive=$name.tar.gz

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/pipecat-rollout.XXXXXX")
for file in "$archive" SHA256SUMS; do
    curl --fail --silent --show-error --location --proto '=https' --retry 3 --max-time 120 \
        --output "$folder/$file" "$repository/releases/download/$version/$file" ||
        refuse "cannot download $file of the release $version from $repository"
done

# Exactly the line of this archive: a list that does not name it proves nothing.
wanted=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$folder/SHA256SUMS")
[[ $wanted =~ ^[0-9a-f]{64}$ ]] || refuse "SHA256SUMS does not name $archive once"
if command -v sha256sum >/dev/null; then
    sum=$(sha256sum "$folder/$archive")
else
    sum=$(shasum -a 256 "$folder/$archive")
fi
[[ ${sum%% *} == "$wanted" ]] || refuse "the checksum of $archive is wrong: it is not what was released"
# The list comes from where the archive does; this proves that the repository's own workflow has built it.
if [[ ${CHECK_ATTESTATION:-true} == false ]]; then
    echo "the attestation of $archive is not checked: check-attestation is false"
elif command -v gh >/dev/null; then
    gh attestation verify "$folder/$archive" --repo "${repository#https://github.com/}" >"$folder/attestation" 2>&1 ||
        refuse "the attestation of $archive cannot be confirmed: $(tail -n 1 "$folder/attestation" | tr -d '\r' | sed 's/%/%25/g')"
else
    echo "the attestation of $archive is not checked: there is no gh on this runner"
fi
tar -xzf "$folder/$archive" -C "$folder"
program=$folder/$name/pipecat-rollout
[[ -x $program ]] || refuse "$archive holds no program"
echo "$folder/$name" >>"$GITHUB_PATH"
echo "program=$program" >>"$GITHUB_OUTPUT"
