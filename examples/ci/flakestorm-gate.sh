#!/usr/bin/env bash
# Asks Flakestorm to replay incidents on a version, waits for the result, and ends with its exit
# code: 0 held, 1 regressed, 2 could not be judged, 3 suspect (strict). Needs curl and openssl.
#
#   FLAKESTORM_HOOK=https://…/hooks/ci/…  FLAKESTORM_SECRET=whsec_…
#   flakestorm-gate.sh '{"version": "v2", "incidents": "all"}'
set -euo pipefail
body=$1
wait_for=${FLAKESTORM_WAIT:-3600} # seconds

# One id for one build step: whatever is retried, the batch is queued once.
id=${FLAKESTORM_ID:-msg_$(openssl rand -hex 12)}
key=$(printf %s "${FLAKESTORM_SECRET#whsec_}" | openssl base64 -d -A | od -An -vtx1 | tr -d ' \n')
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

knock() { # prints the HTTP status; 000 when there was no answer. Signed anew for each try.
  local now signature
  now=$(date +%s)
  signature=$(printf '%s.%s.%s' "$id" "$now" "$body" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
  curl -sS -o "$answer" -w '%{http_code}' --max-time 60 "$FLAKESTORM_HOOK" \
    -H 'content-type: application/json' -H "webhook-id: $id" -H "webhook-timestamp: $now" \
    -H "webhook-signature: v1,$signature" --data-binary "$body" || true
}

for pause in 2 5 15 60 0; do
  status=$(knock)
  case $status in 000 | 429 | 5??) sleep "$pause" ;; *) break ;; esac
done
if [ "$status" != 202 ]; then
  echo "Flakestorm answered $status:" >&2
  cat "$answer" >&2
  exit 2
fi
url=$(sed -n 's/.*"status_url": "\([^"]*\)".*/\1/p' "$answer")

field() { sed -n "s/^  \"$1\": \"\{0,1\}\(.*[^\",]\)\"\{0,1\},\{0,1\}$/\1/p" "$answer"; }
end=$(($(date +%s) + wait_for))
code=null
while [ "$code" = null ]; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "No result within $wait_for s." >&2
    exit 2
  fi
  sleep "${FLAKESTORM_POLL:-5}"
  curl -sS -f -o "$answer" --max-time 30 "$url" || continue
  code=$(field exit_code)
done
echo "$(field state): $(field summary)"
echo "$(field url)"
if [ -n "${FLAKESTORM_JUNIT:-}" ]; then
  curl -sS -f -o "$FLAKESTORM_JUNIT" --max-time 30 "${url/\?//junit.xml?}"
fi
exit "$code"
