#!/usr/bin/env bash
# asl-validator 4.0.0 (npm) takes a state that is called `Next` for a transition.
#
# A state of a Step Functions state machine may have any name of up to 80 characters, and ours was called
# `Next`. The validator collects the targets of transitions by looking for members that are called `StartAt`,
# `Next` or `Default` anywhere in the document, the names of states too, and then looks for a state that is
# called like the object it has found. It seems to be a broken transition, and the message names neither the
# state nor the path. The same definition with the state called `Following` is valid.
#
# Seen: MISSING_TRANSITION_TARGET: Missing 'StartAt'|'Next'|'Default' target: [object Object]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund asl-validator@4.0.0 >/dev/null

definition() { printf '{"StartAt": "%s", "States": {"%s": {"Type": "Pass", "Next": "End"}, "End": {"Type": "Succeed"}}}' "$1" "$1"; }
definition Next >next.json
definition Following >following.json

npx asl-validator --json-path following.json
if npx asl-validator --json-path next.json >seen 2>&1; then
    echo "a state called Next is valid now"
    exit 1
fi
cat seen
grep -qF "Missing 'StartAt'|'Next'|'Default' target: [object Object]" seen
