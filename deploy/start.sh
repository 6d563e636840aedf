#!/bin/sh
# Starts a program of ours in docker-compose.yml: with the settings of .env or, where no account is set up there, with
# those that the sandbox of the profile "demo" writes. The two are never mixed.
#   sh deploy/start.sh api/main.ts
set -eu
if [ -n "${TESTIGO_GOOGLE_ORGANIZER:-}" ]; then exec node "$@"; fi

settings=/world/settings.sh
waited=0
[ -e "$settings" ] || echo "TESTIGO_GOOGLE_ORGANIZER is not set; waiting for the sandbox of the profile demo" >&2
while [ ! -e "$settings" ]; do
  if [ "$waited" -ge 90 ]; then
    echo "No settings: copy .env.example to .env and fill it in, or run docker-compose --profile demo up" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
. "$settings"
export TESTIGO_LOG_LEVEL="${TESTIGO_LOG_LEVEL:-warn}"
exec node "$@"
