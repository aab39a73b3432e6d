#!/usr/bin/env bash
# Makes sure that there is a Go that can build this, and says what to do when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

need_major=1
need_minor=26

refuse() {
	printf 'Headwater needs Go %d.%d or later: %s\n' "$need_major" "$need_minor" "$1" >&2
	printf 'Install it from https://go.dev/dl/ (macOS: brew install go), and put its bin folder into PATH.\n' >&2
	exit 1
}

if ! command -v go >/dev/null; then
	if [ -x /usr/local/go/bin/go ]; then
		refuse 'there is no go in PATH, but there is one in /usr/local/go/bin; run export PATH="$PATH:/usr/local/go/bin"'
	fi
	refuse 'there is no go in PATH.'
fi

# In this folder go takes, and if need be fetches, the toolchain that go.mod asks for.
if ! version=$(go env GOVERSION 2>&1); then
	refuse "$(command -v go) says: $version"
fi
if [[ $version =~ go([0-9]+)\.([0-9]+) ]]; then
	major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
	if ((major < need_major || (major == need_major && minor < need_minor))); then
		refuse "$(command -v go) is $version."
	fi
elif [[ $version != devel* ]]; then
	refuse "$(command -v go) says that its version is '$version'."
fi
