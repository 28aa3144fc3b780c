#!/usr/bin/env bash
# Makes .venv with pinned dependencies and installs the system's compilers and emulators.
# Does nothing, and needs no network, when all of it is there. Safe to run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
venv=${VENV:-.venv}
stamp=$venv/.installed

say() { printf '%s\n' "$*" >&2; }

as_root() { # runs a command as root, or says which command to run
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        say "This needs root rights. Run this command, then the same make target again:"
        say "  sudo $*"
        exit 2
    fi
}

apt_install() {
    if ! command -v apt-get >/dev/null; then
        say "Missing, and there is no apt-get here: install these Debian packages' counterparts: $*"
        exit 2
    fi
    [ "$(id -u)" != 0 ] || apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

if ! command -v "$python" >/dev/null; then
    apt_install python3 python3-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "EdgeFlow needs Python 3.11 or newer; '$python' is $("$python" -V). Set PYTHON=..."
    exit 2
fi

# What .deb packages the tools are in, installed beside the Python packages: both mostly wait.
apt_log=$(mktemp)
trap 'rm -f "$apt_log"' EXIT
lacking=
if [ "$(id -u)" = 0 ] && command -v dpkg-query >/dev/null; then
    for package in $(grep -hv '^#' scripts/debian-packages.txt scripts/debian-test-packages.txt); do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            lacking="$lacking $package"
    done
fi
apt=
if [ -n "$lacking" ]; then
    # shellcheck disable=SC2086
    apt_install $lacking >"$apt_log" 2>&1 &
    apt=$!
fi

wanted=$(cat requirements.txt requirements-torch.txt pyproject.toml | cksum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
    say "Setting up $venv ..."
    "$python" -m venv "$venv"
    # most of the modules are never imported: what is, is compiled then
    install() { "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps "$@"; }
    install --no-compile --require-hashes -r requirements.txt
    install --no-compile -r requirements-torch.txt
    install --no-build-isolation -e . # by the pinned hatchling
    printf '%s\n' "$wanted" >"$stamp"
fi

if [ -n "$apt" ]; then
    say "Installing:$lacking"
    wait "$apt" || cat "$apt_log" >&2 # the check below says what is missing
fi
packages=$("$venv/bin/edgeflow" doctor --packages)
if [ -n "$packages" ]; then
    say "Installing: $(printf '%s' "$packages" | tr '\n' ' ')"
    # shellcheck disable=SC2086
    apt_install $packages
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    scripts/adbd.sh "$venv/adbd" || say "No adbd: the test with it is skipped."
fi
