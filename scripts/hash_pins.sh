#!/usr/bin/env bash
# Writes the hashes of the pins in requirements.txt anew, of every file that the registry has of
# them, so that any machine can install its own. Run it after a change of a pin.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check uv

grep '^#' requirements.txt >"$folder/hashed.txt"
grep -E '^[A-Za-z0-9]' requirements.txt | sed 's/ *\\$//' >"$folder/pins.in"
"$folder/venv/bin/uv" pip compile -q --no-deps --universal --generate-hashes --no-annotate \
    --no-header --python-version 3.11.7 "$folder/pins.in" -o "$folder/pins.txt"
cat "$folder/pins.txt" >>"$folder/hashed.txt"
cp "$folder/hashed.txt" requirements.txt
