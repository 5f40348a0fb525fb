#!/usr/bin/env bash
# Installs a released twinscale for this runner, and puts it on the PATH of the steps that follow.
# REPOSITORY has the releases; VERSION is a tag (empty, or no tag of a release: the newest); GH_TOKEN may read them.
set -euo pipefail

case "$RUNNER_OS-$RUNNER_ARCH" in
Linux-X64) target=x86_64-unknown-linux-gnu ;;
Linux-ARM64) target=aarch64-unknown-linux-gnu ;;
macOS-X64) target=x86_64-apple-darwin ;;
macOS-ARM64) target=aarch64-apple-darwin ;;
*)
    echo "::error::there is no release of twinscale for $RUNNER_OS on $RUNNER_ARCH"
    exit 1
    ;;
esac

release=()
if [[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]]; then
    release=("$VERSION")
elif [[ -n $VERSION ]]; then
    echo "::notice::'$VERSION' is no release of twinscale: the newest is installed (version: v1.2.3 takes one)"
fi

archive=twinscale-$target.tar.gz
to=$RUNNER_TEMP/twinscale
mkdir -p "$to"
gh release download "${release[@]}" --repo "$REPOSITORY" --dir "$to" --clobber \
    --pattern "$archive" --pattern "$archive.sha256"
cd "$to"
shasum -a 256 --check --quiet "$archive.sha256"
tar -xzf "$archive" twinscale
echo "$to" >>"$GITHUB_PATH"
