#!/usr/bin/env bash
# Tells Headwater's story on real flights with bin/headwater: every command is shown as it is typed, run, and held to what
# the story claims. The servers are private ones on free ports, their data in a temporary folder; both are gone at the end,
# also when a step fails or the story is interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
# Postgres may have to run as another user, who must get to its folder.
umask 022

bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# Prints the first usual folder for temporary files that Postgres can get to. Root's Postgres is not root.
temporary_folder() {
	local folder above
	for folder in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
		folder=$(cd "$folder" 2>/dev/null && pwd -P) || continue
		above=$folder
		while [ "$(id -u)" -eq 0 ] && [ "$above" != / ] && [ -n "$(find "$above" -prune -perm -001)" ]; do
			above=$(dirname "$above")
		done
		if [ "$(id -u)" -ne 0 ] || [ "$above" = / ]; then
			printf '%s\n' "$folder"
			return
		fi
	done
	printf 'Found no folder for temporary files that the OS user postgres can get to; set TMPDIR to one.\n' >&2
	return 1
}

dev='' demo='' told=no
clean_up() {
	trap '' INT TERM HUP
	if [ -n "$dev" ]; then
		kill -TERM "$dev" 2>/dev/null || true
		wait "$dev" 2>/dev/null || true
	fi
	if [ "$told" = no ] && [ -n "$demo" ] && [ -s "$demo/dev.log" ]; then
		printf 'The server said:\n' >&2
		sed 's/^/  /' "$demo/dev.log" >&2 || true
	fi
	if [ -n "$demo" ]; then
		rm -rf "$demo"
	fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n%s%s%s\n' "$dim" "$1" "$plain"; }

fail() {
	printf '\n%sThe story does not hold.%s\n  expected: %s\n  found:    %s\n' "$red" "$plain" "$1" "$2" >&2
	exit 1
}

# Runs the command line $2 as it stands, shows it and its output, and expects it to exit with $1. What it wrote is in
# $demo/out.
step() {
	local expected=$1 line=$2 status=0
	printf '\n%s$ %s%s\n' "$bold" "$line" "$plain"
	eval "$line" >"$demo/out" 2>"$demo/err" || status=$?
	cat "$demo/out" "$demo/err"
	cat "$demo/err" >>"$demo/out"
	if [ "$status" -ne "$expected" ]; then
		fail "\`$line\` exits with $expected" "$status"
	fi
}

# Expects $1 lines of the last output to match $2.
expect() {
	local found
	found=$(grep -Ec -- "$2" "$demo/out") || true
	if [ "$found" -ne "$1" ]; then
		fail "$1 of the lines above match: $2" "$found of them"
	fi
}

if [ ! -x bin/headwater ]; then
	printf 'There is no bin/headwater; `make demo` builds it, and then runs this.\n' >&2
	exit 1
fi
PATH=$PWD/bin:$PATH
SECONDS=0
folder=$(temporary_folder)
demo=$(mktemp -d "$folder/headwater-demo.XXXXXX")
chmod 711 "$demo"
flights=examples/flights
service='--service delay_model_v1'

say 'A server, with a Postgres and a Redis of its own. Its data is in a folder that goes when the story ends.'
printf '\n%s$ headwater dev --data-dir %s/data --listen 127.0.0.1:0 --ready-file %s/ready &%s\n' "$bold" "$demo" "$demo" "$plain"
# In a process group of its own, so that a Ctrl-C stops the story, and the story the server.
set -m
headwater dev --data-dir "$demo/data" --listen 127.0.0.1:0 --ready-file "$demo/ready" >"$demo/dev.log" 2>&1 </dev/null &
dev=$!
set +m
while [ ! -e "$demo/ready" ]; do
	if ! kill -0 "$dev" 2>/dev/null; then
		fail 'the server starts' 'it ended'
	fi
	sleep 0.05
done
# shellcheck source=/dev/null
. "$demo/ready"
step 0 "export HEADWATER_SERVER=$HEADWATER_SERVER HEADWATER_TOKEN=\$(cat $HEADWATER_TOKEN_FILE)"

say 'Definitions are YAML files: entities, a source, two views, a service that a model reads, and roles.'
step 0 "headwater validate $flights/definitions"
say 'Tests stand beside them: rows that arrive, and what comes of them. Each runs on servers of its own.'
step 0 "headwater test $flights"
expect 1 '^6 tests, all hold '
say 'What would they change? The exit status of a plan with changes is 6, for scripts.'
step 6 "headwater plan $flights/definitions"
expect 9 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'
step 0 "headwater apply $flights/definitions"
expect 9 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'

say 'A month of real flights, in four files. Each becomes a load, kept with its name, size and SHA-256.'
step 0 "headwater ingest flights $flights/data/flights-2001-01-week[1-4].parquet"
expect 4 '^ *[1-4]  flights '

say 'Both views, computed over all of it: written to their history in Postgres, published, and loaded into Redis.'
step 0 "headwater materialize airport_delays route_delays --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 1 '^wrote  *72839 inserted, 0 withdrawn, 0 unchanged$'
expect 1 '^wrote  *98665 inserted, 0 withdrawn, 0 unchanged$'
digests=$(grep '^digest' "$demo/out")
step 0 'headwater runs list'
expect 2 '  published  incremental  508239 .* loaded '
say 'The record of a run accounts for every row: where it came from, and where it went.'
step 0 'headwater runs show airport_delays@1/1'
expect 4 '^ .*  flights-2001-01-week[1-4]\.parquet '
expect 1 '^  read  *508239  508239 accepted \+ 0 quarantined \+ 0 duplicate \+ 0 dropped \+ 0 too late$'

say 'What a model would read now, with its status, its event time and the run that wrote it.'
step 0 "headwater get $service --entity origin=ORD,destination=LAX --entity origin=ATL,destination=LGA --entity origin=SFO,destination=SEA"
expect 15 '  PRESENT  2001-0[12]-[0-9T:]*Z  (airport|route)_delays@1/1$'

say 'A training set: 20,000 flights, each with the features as they were known at the moment it left.'
step 0 "headwater dataset build $service --spine $flights/data/spine.parquet --out $demo/train.parquet"
expect 1 '^rows  *20000$'
dataset=$(awk '$1 == "id" { print $2 }' "$demo/out")
say 'It can be computed again from what is kept, and comes out the same.'
step 0 "headwater dataset verify $dataset"
expect 2 ' yes$'

say 'Where does a feature come from? Through the run that wrote it, down to the files.'
step 0 'headwater lineage show feature:airport_delays.mean_delay --up'
expect 4 'read load:[1-4]  flights-2001-01-week[1-4]\.parquet, sha256 '

say 'All of it again: the run finds that nothing changed, comes to the same digest, and writes no row.'
step 0 "headwater materialize airport_delays route_delays --full --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 2 '^wrote  *nothing changed: no row was written$'
if [ "$(grep '^digest' "$demo/out")" != "$digests" ]; then
	fail "the digests of the first runs: $digests" "$(grep '^digest' "$demo/out")"
fi

say 'The supplier sends a week again, with 16 delays corrected. The new file takes the place of the load of the old one.'
step 0 "headwater ingest flights $flights/data/flights-2001-01-week2-corrected.parquet --replaces 2"
step 0 'headwater loads list flights'
expect 1 '^ *2  flights  .* replaced by 5 '
say 'A run follows what came, and computes no more than that week. Only what changed is written; what it replaces stays, closed, for those who read as of before.'
step 0 "headwater materialize airport_delays route_delays --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 1 '^wrote  *16 inserted, 16 withdrawn, [0-9]* unchanged$'
expect 1 '^wrote  *13 inserted, 13 withdrawn, [0-9]* unchanged$'
step 0 'headwater lineage show feature:airport_delays.mean_delay --up'
expect 1 'read load:5  flights-2001-01-week2-corrected\.parquet, sha256 '

say 'The training set from before the correction is still what it was, to the byte.'
step 0 "headwater dataset verify $dataset"
expect 2 ' yes$'
step 0 "headwater dataset fetch $dataset --out $demo/again.parquet | grep -E '^(id|rows|content digest|arrow sha256) '"
step 0 "cmp $demo/train.parquet $demo/again.parquet && echo the same bytes"
expect 1 '^the same bytes$'

say 'A token for the model, whose role lets it read its service online, and nothing else.'
step 0 "export MODEL_TOKEN=\$(headwater token create --principal delay-model --role model)"
# shellcheck disable=SC2016 # The line is shown as it is typed; it is expanded when it is run.
step 0 'headwater get --token "$MODEL_TOKEN" --service delay_model_v1 --entity origin=ORD,destination=LAX'
expect 5 '  PRESENT  '
say 'Training data is not for it: the exit status of what is refused is 3, and the reason is told.'
# shellcheck disable=SC2016
step 3 'headwater dataset build --token "$MODEL_TOKEN" --service delay_model_v1 --spine examples/flights/data/spine.parquet --out '"$demo/refused.parquet"
expect 1 'delay-model may not read_offline service:delay_model_v1: no grant of read_offline .* in roles \[model\]'
if [ -e "$demo/refused.parquet" ]; then
	fail 'a refused build writes no file' "$demo/refused.parquet"
fi
say 'Both are in the audit log, with the reason of each decision.'
step 0 'headwater audit list --principal delay-model'
expect 1 '  read_online   service:delay_model_v1@1  allowed  .* role model allows read_online '
expect 1 '  read_offline  service:delay_model_v1    denied  .* no grant of read_offline '

kill -TERM "$dev"
status=0
wait "$dev" || status=$?
dev=''
if [ "$status" -ne 0 ]; then
	fail 'the server exits with 0 when it is told to stop' "$status"
fi
told=yes
printf '\n%sThat was the story; it took %d seconds.%s Everything it started has been stopped.\n' "$green" "$SECONDS" "$plain"
printf 'For a server that stays: make dev\n'
