#!/usr/bin/env bash
# Generates gen/, the stubs of the Python client, the tables of docs/definitions.md and the JSON Schema from proto/. With --check it changes nothing, and
# fails when something is not what it would make.
# BUF is the command that runs buf.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.cache/bin
stubs=python/src/headwater/v1
mkdir -p "$bin"
go build -modfile=tools/go.mod -o "$bin/" \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
scripts/third-party-protos.sh
scripts/python-env.sh
export PATH="$bin:$PATH"

if [ "${1:-}" != --check ]; then
	$BUF generate
	.cache/python/bin/python python/generate.py "$stubs"
	go run ./internal/language/cmd/language
	exit 0
fi
fresh=.cache/generated
rm -rf "$fresh"
trap 'rm -rf "$fresh"' EXIT
$BUF generate -o "$fresh"
if ! diff -ru gen "$fresh/gen"; then
	printf 'gen/ is not what proto/ generates; run `make generate` and commit the result.\n' >&2
	exit 1
fi
.cache/python/bin/python python/generate.py "$fresh/stubs"
if ! diff -rq --exclude __pycache__ "$stubs" "$fresh/stubs"; then
	printf '%s is not what proto/ generates; run `make generate` and commit the result.\n' "$stubs" >&2
	exit 1
fi
go run ./internal/language/cmd/language --check
