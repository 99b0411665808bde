#!/usr/bin/env bash
# Installs what the tests need on Debian 12: nginx, Apache's uwsgi module, PostgreSQL and a C
# compiler as packages, and a venv in target/venv with the frameworks and the real uWSGI.
# Does nothing, quickly, when all of it is there already.
#
#   PYTHON=python3.12 tests/setup.sh    # another Python than Debian's for the venv
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(nginx-light apache2-bin postgresql python3 python3-venv python3-dev build-essential ca-certificates)
requirements=tests/requirements.txt
venv=target/venv

say() { printf 'setup: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# retry COMMAND...: package servers have bad moments; three attempts outlast most of them.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return
        [ "$attempt" = 3 ] || { say "failed, trying again in $((attempt * 10)) s: $*" >&2; sleep $((attempt * 10)); }
    done
    return 1
}

installed() { dpkg-query -W -f '${db:Status-Abbrev}\n' "$1" 2>/dev/null | grep -q '^ii'; }

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        installed "$package" || echo "$package"
    done
}

# The tests make clusters of their own; the package's would listen on port 5432.
without_main_cluster() {
    local directory=/etc/postgresql-common/createcluster.d
    "$@" mkdir -p "$directory"
    echo 'create_main_cluster = false' | "$@" tee "$directory/uwgate-tests.conf" >/dev/null
}

# RUNLEVEL=1 keeps the packages' scripts from starting nginx as a service on port 80.
install_packages() {
    local missing as_root=()
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing packages: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "not root and no sudo; install these packages, then run this again: ${missing[*]}"
        as_root=(sudo)
    fi
    local apt=("${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq)
    installed postgresql || without_main_cluster "${as_root[@]}"
    retry "${apt[@]}" update
    retry "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

if command -v dpkg-query >/dev/null; then
    install_packages
else
    say "not Debian: the tests will look for nginx, PostgreSQL, python3 with its headers and a C compiler on PATH"
fi

# Debian's own Python where there is one: uWSGI embeds its libpython.
python=${PYTHON:-/usr/bin/python3}
command -v "$python" >/dev/null || python=python3

# A venv holds its own path and its Python's version, so they are part of what must be unchanged.
stamp=$({ cat "$requirements"; pwd -P; "$python" -VV; } | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
    say "making $venv (uWSGI is compiled: about a minute)"
    rm -rf "$venv"
    mkdir -p target
    "$python" -m venv "$venv"
    retry "$venv/bin/python" -m pip install -q --disable-pip-version-check --timeout 60 -r "$requirements"
    echo "$stamp" >"$venv/stamp"
fi
say "ready: $("$venv/bin/python" -V), uWSGI $("$venv/bin/uwsgi" --version)"
