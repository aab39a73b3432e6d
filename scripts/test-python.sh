#!/usr/bin/env bash
# Tests the Python client of python/, and the examples in its docstrings and in docs/python.md, against a server of
# bin/headwater that runs for their time. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
# Postgres may have to run as another user, who must get to its folder.
umask 022

scripts/python-env.sh
export PYTHONPATH=$PWD/python/src
exec .cache/python/bin/python -m pytest -q -c python/pyproject.toml --rootdir python -p no:cacheprovider --doctest-modules \
	--ignore python/src/headwater/v1 "$@" python/tests python/src
