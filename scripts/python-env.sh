#!/usr/bin/env bash
# Makes .cache/python a virtual environment with the packages that python/requirements.txt pins. It is kept under
# $XDG_CACHE_HOME or ~/.cache, shared by all work trees with the same pins, and .cache/python is a link to it; where it is
# there already, this takes no time. The package of python/ is not in it: it is run from python/src, by PYTHONPATH.
#
# Needs a Python of 3.11 or later; where there is none that can make virtual environments, it installs Debian's with apt-get
# as root or by sudo without a password, and otherwise says what to install. HEADWATER_PYTHON is the Python to use.
set -euo pipefail
cd "$(dirname "$0")/.."

# Whether $1 is a Python that a virtual environment can be made with.
usable() {
	command -v "$1" >/dev/null &&
		"$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
	local candidate
	for candidate in ${HEADWATER_PYTHON:+"$HEADWATER_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
		if usable "$candidate"; then
			command -v "$candidate"
			return
		fi
	done
	return 1
}

explain() {
	printf 'The Python client needs Python 3.11 or later with the module venv to be tested, and there is none here.\n' >&2
	printf 'On Debian 12, Ubuntu 24.04 or later, as root: apt-get update && apt-get install python3 python3-venv\n' >&2
	printf 'A Python in an unusual folder is found through HEADWATER_PYTHON.\n' >&2
	exit 1
}

if ! python=$(find_python); then
	if ! command -v apt-get >/dev/null; then
		explain
	fi
	if [ "$(id -u)" -eq 0 ]; then
		as_root=()
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		as_root=(sudo -n)
	else
		explain
	fi
	printf 'Installing python3 python3-venv with apt-get.\n' >&2
	log=$(mktemp)
	if ! { ${as_root[@]+"${as_root[@]}"} apt-get update &&
		${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		explain
	fi
	rm -f "$log"
	python=$(find_python) || explain
fi

made_of=$({
	"$python" -c 'import sys; print(sys.version, sys.executable)'
	cat python/requirements.txt
} | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
shared=${XDG_CACHE_HOME:-$HOME/.cache}/headwater
folder=$shared/python-$made_of
link() {
	mkdir -p .cache
	if [ -d .cache/python ] && [ ! -L .cache/python ]; then
		rm -rf .cache/python
	fi
	ln -sfn "$folder" .cache/python
}
# The last thing that is made: an environment without it is half of one.
whole=$folder/whole
if [ -e "$whole" ]; then
	link
	exit 0
fi
mkdir -p "$shared"
# Another work tree may be making it right now.
exec 9>"$folder.lock"
if command -v flock >/dev/null; then
	flock 9
fi
if [ ! -e "$whole" ]; then
	printf '==> %s: the packages of python/requirements.txt\n' "$folder" >&2
	rm -rf "$folder"
	"$python" -m venv "$folder"
	pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)
	"${pip[@]}" install --require-hashes --only-binary :all: -r python/requirements.txt
	"${pip[@]}" check
	: >"$whole"
fi
link
