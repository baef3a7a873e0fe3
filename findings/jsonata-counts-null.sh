#!/usr/bin/env bash
# $count(null) is 1 in jsonata 2.2.2 (npm, the reference) and 0 in jsonata-python 0.7.1 (PyPI).
#
# In JSONata null is a value and nothing is none; Python has one word for both. A state machine that counts
# what a function answered takes another branch in a stand-in that uses the port: a null that is there
# counts as nothing.
#
# Seen: $count(null) is 1 and 0; $count([null]) is 1 in both; $exists(null) is true in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund jsonata@2.2.2 >/dev/null
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jsonata-python==0.7.1

both() {
    node -e "require('jsonata')(process.argv[1]).evaluate({}).then((seen) => console.log(JSON.stringify(seen)))" "$1"
    python/bin/python -c "import json, jsonata, sys; print(json.dumps(jsonata.Jsonata(sys.argv[1]).evaluate({})))" "$1"
}
for expression in '$count(null)' '$count([null])' '$exists(null)'; do
    printf '%s %s\n' "$expression" "$(both "$expression" | paste -sd' ')"
done | tee seen
diff seen - <<'SEEN'
$count(null) 1 0
$count([null]) 1 1
$exists(null) true true
SEEN
