#!/usr/bin/env bash
# Lays the protos that ours import into proto/, out of the module pinned in tools/go.mod. Git ignores them.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/bufbuild/protovalidate
folder=$(go list -modfile=tools/go.mod -m -f '{{.Dir}}' "$module")
if [ -z "$folder" ]; then
	go mod download -modfile=tools/go.mod "$module"
	folder=$(go list -modfile=tools/go.mod -m -f '{{.Dir}}' "$module")
fi
rm -rf proto/buf
cp -R "$folder/proto/protovalidate/buf" proto/buf
# The module cache is read-only.
chmod -R u+w proto/buf
