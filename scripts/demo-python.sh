#!/usr/bin/env bash
# Runs examples/flights/train.py with bin/headwater: on a server of its own with a month of flights, whose data is in a
# temporary folder. Both are gone at the end, also when a step fails or it is interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
# Postgres may have to run as another user, who must get to its folder.
umask 022

dev='' folder=''
clean_up() {
	local status=$?
	trap '' INT TERM HUP
	if [ -n "$dev" ]; then
		kill -TERM "$dev" 2>/dev/null || true
		wait "$dev" 2>/dev/null || true
	fi
	if [ "$status" -ne 0 ] && [ -n "$folder" ] && [ -s "$folder/dev.log" ]; then
		printf 'The server said:\n' >&2
		sed 's/^/  /' "$folder/dev.log" >&2 || true
	fi
	if [ -n "$folder" ]; then
		rm -rf "$folder"
	fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/python-env.sh
SECONDS=0
folder=$(mktemp -d "${TMPDIR:-/tmp}/headwater-demo-python.XXXXXX")
chmod 711 "$folder"
bin/headwater dev --data-dir "$folder/data" --listen 127.0.0.1:0 --ready-file "$folder/ready" >"$folder/dev.log" 2>&1 </dev/null &
dev=$!
while [ ! -e "$folder/ready" ]; do
	if ! kill -0 "$dev" 2>/dev/null; then
		printf 'The server did not start.\n' >&2
		exit 1
	fi
	sleep 0.05
done
# shellcheck source=/dev/null
. "$folder/ready"
export HEADWATER_SERVER HEADWATER_TOKEN_FILE
HEADWATER_TOKEN=$(cat "$HEADWATER_TOKEN_FILE")
export HEADWATER_TOKEN
flights=examples/flights
{
	bin/headwater apply "$flights/definitions"
	bin/headwater ingest flights "$flights"/data/flights-2001-01-week[1-4].parquet
	bin/headwater materialize airport_delays route_delays --wait
} >"$folder/filled" 2>&1 || {
	cat "$folder/filled" >&2
	exit 1
}
PYTHONPATH=python/src .cache/python/bin/python -W error "$flights/train.py"
printf 'That took %d seconds.\n' "$SECONDS"
