#!/bin/sh
# Create .venv from the pinned requirements, or bring it up to date. Runs before any Python of ours.
# usage: sh local/demo/setup.sh [requirements-dev.txt]     PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/../.."

UV=uv==0.13.9
venv=.venv

fail() {
    echo "$*" >&2
    exit 1
}

# The Python to use: the one asked for, or the first on the PATH that will do.
suitable='import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$suitable"; then
            echo "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1 || true)
    fail "Python 3.11, 3.12 or 3.13 is needed; ${PYTHON:-python3} is: ${found:-not there}. Install one, or name it: make setup PYTHON=/path/to/python3.12"
}

create_venv() {
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python lacks the module venv. Install it (Debian, Ubuntu: apt install python3-venv) and run make again."
    echo "Creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

# uv is several times faster than pip, but knows nothing of a package index configured for pip.
has_uv() {
    if [ -z "${UV_INDEX_URL:-}${UV_INDEX:-}${UV_DEFAULT_INDEX:-}" ] &&
        "$venv/bin/python" -m pip config list | grep -E '[.](index-url|no-index)=' >/dev/null; then
        return 1
    fi
    "$venv/bin/python" -m pip install --quiet "$UV" && "$venv/bin/python" -m uv --version >/dev/null
}

# The files name every package and its version, so there is nothing left to resolve.
install() {
    stamp=$venv/installed-$1
    cmp -s "$1" "$stamp" && return
    echo "Installing $1 (some minutes the first time, seconds when cached)"
    if ! { has_uv && "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" --no-deps -r "$1"; }; then
        "$venv/bin/python" -m pip install -qq --no-deps -r "$1" ||
            fail "The packages of $1 could not be installed: see pip's message above."
    fi
    cp "$1" "$stamp"
}

"$venv/bin/python" -c "$suitable" 2>/dev/null || create_venv
for requirements in requirements.txt "$@"; do
    install "$requirements"
done
