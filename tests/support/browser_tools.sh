#!/usr/bin/env bash
# Chromium and Japanese fonts for the tests of pages, from Debian's packages, where this machine lacks them. Where they
# cannot be installed, that is said here, and those tests fail and say it again.
set -euo pipefail

missing=()
command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null ||
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] || missing+=(chromium)
[ "$(uname)" = Darwin ] || [ -n "$(fc-list :lang=ja 2>/dev/null | head -c 1)" ] || missing+=(fontconfig fonts-noto-cjk)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]} for the tests of pages"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "The tests of pages need ${missing[*]}, which could not be installed; on Debian, as root: apt-get install ${missing[*]}" >&2
