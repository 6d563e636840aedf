#!/usr/bin/env bash
# Gets a fresh Debian or Ubuntu machine with Node >= 20 and npm ready: Chromium, ffmpeg, fonts, packages.
# Run by `npm run demo` and `npm test` before anything else; where nothing is missing it takes well under a second.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

packages_missing() {
  local missing=()
  if [ -n "${CHROMIUM_PATH:-}" ]; then
    [ -x "$CHROMIUM_PATH" ] || { say "CHROMIUM_PATH names no program: $CHROMIUM_PATH"; exit 1; }
  else
    [ -x /usr/bin/chromium ] || missing+=(chromium)
  fi
  command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || missing+=(ffmpeg)
  command -v curl >/dev/null || missing+=(curl)
  [ -e /usr/share/fonts/truetype/liberation ] || [ -e /usr/share/fonts/truetype/liberation2 ] || missing+=(fonts-liberation)
  printf '%s\n' "${missing[@]:-}"
}

install_packages() {
  local missing=$1 as_root=()
  if ! command -v apt-get >/dev/null; then
    say "install these with your system's package manager, then run the command again: $missing"
    say "a Chromium elsewhere is named by CHROMIUM_PATH"
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "as root: apt-get install $missing"; exit 1; }
    as_root=(sudo)
  fi
  say "installing $missing"
  local log
  log=$(mktemp)
  # shellcheck disable=SC2086
  if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq \
      && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    say "apt-get could not install: $missing"
    exit 1
  fi
  rm -f "$log"
}

node_major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

if [ "$(node_major)" -lt 20 ]; then say "Node 20 or newer and npm are needed (https://nodejs.org)"; exit 1; fi

missing=$(packages_missing | xargs)
[ -z "$missing" ] || install_packages "$missing"

# npm writes this file last; a lock file that differs from it means that the packages are not what we pinned.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi

# Our scripts find this Node first, because npm puts node_modules/.bin at the head of PATH.
found=$(PATH="$PWD/node_modules/.bin:$PATH" node -p 'process.versions.node.split(".")[0]')
if [ "$found" -lt 24 ]; then say "this machine's Node is $found and no Node 24 came with the packages: install Node 24"; exit 1; fi
