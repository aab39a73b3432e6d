#!/usr/bin/env bash
# Lints everything. BUF is the command that runs buf.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '  %s\n' "$1"; }

step gofmt
IFS=$'\n'
# shellcheck disable=SC2207 # one pattern per line, to be expanded
files=($(go list -f '{{.Dir}}/*.go' ./...))
unset IFS
unformatted=$(gofmt -l "${files[@]}")
if [ -n "$unformatted" ]; then
	printf 'These files are not formatted; run `make fmt`:\n%s\n' "$unformatted" >&2
	exit 1
fi

step 'go vet'
go vet ./...

step staticcheck
go tool -modfile=tools/go.mod staticcheck ./...

step 'buf lint'
scripts/third-party-protos.sh
$BUF lint

# Against the last commit of main that is in here: a branch that is behind main has taken nothing away. On main itself,
# against the commit before.
base=
for ref in refs/remotes/origin/main refs/heads/main; do
	if git rev-parse --quiet --verify "$ref^{commit}" >/dev/null; then
		base=$(git merge-base HEAD "$ref" || true)
		break
	fi
done
if [ -n "$base" ] && [ "$(git rev-parse HEAD)" = "$base" ] && git diff --quiet HEAD -- proto; then
	base=$base~1
fi
if [ -n "$base" ] && git rev-parse --quiet --verify "$base:proto/headwater" >/dev/null; then
	step "buf breaking, against $(git rev-parse --short "$base")"
	before=.cache/breaking
	rm -rf "$before"
	mkdir -p "$before"
	trap 'rm -rf "$before"' EXIT
	git archive "$base" buf.yaml proto | tar -x -C "$before"
	cp -R proto/buf "$before/proto/buf"
	$BUF breaking --against "$before"
else
	step 'buf breaking: skipped, there are no earlier protos on main'
fi

scripts/python-env.sh
python() { PYTHONPATH=python/src .cache/python/bin/python "$@"; }
step ruff
python -m ruff check --quiet --no-cache python
python -m ruff check --quiet --no-cache --config python/pyproject.toml --config 'src=["python/src"]' examples
if ! python -m ruff format --quiet --no-cache --check python ||
	! python -m ruff format --quiet --no-cache --config python/pyproject.toml --check examples; then
	printf 'The Python code is not formatted; run `make fmt`.\n' >&2
	exit 1
fi
step mypy
python -m mypy --config-file python/pyproject.toml --cache-dir .cache/mypy --no-error-summary python/src/headwater

if command -v shellcheck >/dev/null; then
	step shellcheck
	shellcheck scripts/*.sh .ci/run
else
	step 'shellcheck: skipped, it is not installed'
fi
