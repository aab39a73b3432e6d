# What the scripts that tell a story share: every command is shown as it is typed, run, and held to what the story claims. The server is a
# private one on a free port, its data in a temporary folder; both are gone at the end, also when a step fails or the story is
# interrupted. Sourced with the root of the repository as the working folder.
# shellcheck shell=bash

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

# Starts the server; its folder is $demo.
begin_story() {
	if [ ! -x bin/headwater ]; then
		printf 'There is no bin/headwater; `make build` builds it.\n' >&2
		exit 1
	fi
	PATH=$PWD/bin:$PATH
	SECONDS=0
	folder=$(temporary_folder)
	demo=$(mktemp -d "$folder/headwater-demo.XXXXXX")
	chmod 711 "$demo"

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
}

# Stops it, and says that the story held.
end_story() {
	local status=0
	kill -TERM "$dev"
	wait "$dev" || status=$?
	dev=''
	if [ "$status" -ne 0 ]; then
		fail 'the server exits with 0 when it is told to stop' "$status"
	fi
	told=yes
	printf '\n%sThat was the story; it took %d seconds.%s Everything it started has been stopped.\n' "$green" "$SECONDS" "$plain"
	printf 'For a server that stays: make dev\n'
}
