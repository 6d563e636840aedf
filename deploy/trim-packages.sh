#!/bin/sh
# Takes out of node_modules what never runs in an image; named packages go as a whole.
#   sh deploy/trim-packages.sh [package …]
set -eu
cd "$(dirname "$0")/../node_modules"
# googleapis brings some 300 APIs, 240 MB. These are the ones that google/ imports.
find googleapis/build/src/apis -mindepth 1 -maxdepth 1 ! -name calendar ! -name drive ! -name meet ! -name workspaceevents -exec rm -rf {} +
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete
rm -rf "$@"
