#!/usr/bin/env bash
# scripts/supply_chain.sh sbom    dist/sbom.json: what is installed, as CycloneDX 1.6
# scripts/supply_chain.sh audit   known vulnerabilities of it; asks a service in the internet
set -euo pipefail
cd "$(dirname "$0")/.."

python=${VENV:-.venv}/bin/python
tools=.supply-chain
wanted=$(cksum <scripts/supply-chain-requirements.txt)
if [ "$(cat "$tools/.installed" 2>/dev/null)" != "$wanted" ]; then
    "$python" -m venv --clear "$tools"
    "$tools/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
        -r scripts/supply-chain-requirements.txt
    printf '%s\n' "$wanted" >"$tools/.installed"
fi

case ${1:-} in
sbom)
    "$tools/bin/cyclonedx-py" environment --pyproject pyproject.toml --mc-type library \
        --spec-version 1.6 --output-format JSON --output-reproducible --validate \
        -o dist/sbom.json "$python"
    printf 'dist/sbom.json\n'
    ;;
audit)
    # what is installed, not what could be resolved; edgeflow itself is in no registry
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$tools/bin/pip-audit" --path "$site" --skip-editable
    ;;
*)
    printf 'say sbom or audit\n' >&2
    exit 2
    ;;
esac
