#!/usr/bin/env bash
# Write requirements/*.txt anew: every version with its hashes, for every Python from 3.11 on, and no index address.
set -euo pipefail
uv=${1:-uv}
cd "$(dirname "$0")/.."
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --no-annotate --output-file "requirements/$1.txt" "${@:2}" pyproject.toml
}
compile edge --extra edge --extra pcsc
compile central --extra central
compile demo --extra edge --extra central --extra demo
compile dev --extra edge --extra pcsc --extra central --extra demo --group dev
