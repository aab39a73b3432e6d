#!/usr/bin/env bash
# Installs what Headwater runs on and is missing here: the server programs of Postgres (15 or later) and of Redis (7 or
# later); with --race also a C compiler, which Go's race detector needs. It uses apt-get as root or by sudo without a
# password; where it cannot, it says what to install and fails. No service is started or left enabled by it, no cluster
# is made.
set -euo pipefail

min_postgres=15
min_redis=7

want_compiler=no
if [ "${1:-}" = --race ]; then
	want_compiler=yes
fi

# Prints the major version of the Postgres whose server programs are in folder $1, if they are.
postgres_in() {
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	"$1/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9][0-9]*\).*/\1/p'
}

have_postgres() {
	local folder major
	local -a folders
	if [ -n "${HEADWATER_PG_BIN:-}" ]; then
		folders=("$HEADWATER_PG_BIN")
	else
		IFS=: read -r -a folders <<<"$PATH"
		folders+=(/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin
			/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin
			/Applications/Postgres.app/Contents/Versions/*/bin)
	fi
	for folder in "${folders[@]}"; do
		major=$(postgres_in "$folder") || continue
		if [ "${major:-0}" -ge "$min_postgres" ]; then
			return 0
		fi
	done
	return 1
}

have_redis() {
	local program major
	for program in ${HEADWATER_REDIS_BIN:+"$HEADWATER_REDIS_BIN/redis-server"} redis-server valkey-server; do
		command -v "$program" >/dev/null || continue
		major=$("$program" --version 2>/dev/null | sed -n 's/.* v=\([0-9][0-9]*\)\..*/\1/p')
		if [ "${major:-0}" -ge "$min_redis" ]; then
			return 0
		fi
	done
	return 1
}

have_compiler() {
	[ "$want_compiler" = no ] || command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null
}

missing=()
packages=()
have_postgres || {
	missing+=("Postgres server programs (initdb, postgres), version $min_postgres or later")
	packages+=(postgresql)
}
have_redis || {
	missing+=("redis-server, version $min_redis or later")
	packages+=(redis-server)
}
have_compiler || {
	missing+=("a C compiler, for the race detector")
	packages+=(gcc libc6-dev)
}
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

explain() {
	printf '%s\n' "$1"
	printf 'Headwater needs, and did not find:\n'
	printf '  - %s\n' "${missing[@]}"
	if [ "$(uname -s)" = Darwin ]; then
		printf 'On macOS: brew install postgresql@17 redis (and xcode-select --install for a C compiler)\n'
	else
		printf 'On Debian 12, Ubuntu 24.04 or later, as root: apt-get update && apt-get install %s\n' "${packages[*]}"
		printf 'On older ones, take Postgres from https://www.postgresql.org/download/ and Redis from\n'
		printf 'https://redis.io/docs/latest/operate/oss_and_stack/install/. Elsewhere, install the packages of your system.\n'
	fi
	printf 'Programs in unusual folders are found through HEADWATER_PG_BIN and HEADWATER_REDIS_BIN.\n'
} >&2

if ! command -v apt-get >/dev/null; then
	explain 'There is no apt-get here to install with.'
	exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
	as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
else
	explain 'Installing takes root, or sudo without a password.'
	exit 1
fi
# An empty array is an unset variable to the bash of macOS.
root() { ${as_root[@]+"${as_root[@]}"} "$@"; }

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/headwater.conf
made=()
clean_up() {
	local file
	for file in ${made[@]+"${made[@]}"}; do
		root rm -f "$file"
	done
}
trap clean_up EXIT

# Debian's packages start their services, and Postgres's makes a cluster, unless told not to. Both files go again after.
if [ ! -e "$policy" ]; then
	made+=("$policy")
	printf '#!/bin/sh\nexit 101\n' | root tee "$policy" >/dev/null
	root chmod 755 "$policy"
fi
if [ ! -e "$cluster" ]; then
	made+=("$cluster")
	root mkdir -p "$(dirname "$cluster")"
	printf 'create_main_cluster = false\n' | root tee "$cluster" >/dev/null
fi

printf 'Installing %s with apt-get.\n' "${packages[*]}" >&2
# A reader of the output wants it only when it went wrong.
log=$(mktemp)
install() {
	root apt-get update &&
		root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}
if ! install >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	rm -f "$log"
	explain 'apt-get did not install them.'
	exit 1
fi
rm -f "$log"

# A service that was installed here is not wanted at the next boot either.
if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
	for package in "${packages[@]}"; do
		case $package in
		postgresql | redis-server) root systemctl disable "$package" >/dev/null 2>&1 || true ;;
		esac
	done
fi

if ! have_postgres || ! have_redis || ! have_compiler; then
	explain 'What apt-get has here is too old.'
	exit 1
fi
