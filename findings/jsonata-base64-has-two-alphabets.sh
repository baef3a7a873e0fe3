#!/usr/bin/env bash
# $base64encode of the same text is other bytes in jsonata 2.2.2 (npm) and jsonata-python 0.7.1 (PyPI).
#
# The reference encodes one byte for each character (Latin-1), the port encodes UTF-8. A text with an umlaut
# is therefore encoded differently by a stand-in for Step Functions that uses the port, and what one has
# encoded the other decodes to something else.
#
# Seen: $base64encode('ü') is /A== in JavaScript and w7w= in Python; of 'u' both say dQ==.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund jsonata@2.2.2 >/dev/null
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jsonata-python==0.7.1

both() {
    node -e "require('jsonata')(process.argv[1]).evaluate({}).then((seen) => console.log(seen))" "$1"
    python/bin/python -c "import jsonata, sys; print(jsonata.Jsonata(sys.argv[1]).evaluate({}))" "$1"
}
both "\$base64encode('u')" | tee plain
both "\$base64encode('ü')" | tee umlaut
diff plain <(printf 'dQ==\ndQ==\n')
diff umlaut <(printf '/A==\nw7w=\n')
