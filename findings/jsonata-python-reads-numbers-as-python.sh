#!/usr/bin/env bash
# jsonata-python 0.7.1 (PyPI) reads numbers as Python does, jsonata 2.2.2 (npm, the reference) as JSON does.
#
# Local stand-ins for Step Functions evaluate JSONata with the Python package. `$number` there takes what
# Python's own numbers may look like: an underscore, spaces around, a plus sign, a dot without digits on one
# side. The reference answers each of them with error D3030, so a state machine that relies on `$number` to
# refuse a malformed text passes its tests at home and fails, or the other way round.
#
# Seen: ' 5' '1_000' '5.' '.5' '+5' are 5 1000 5 0.5 5 in Python and D3030 in JavaScript; '1e3' is 1000 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund jsonata@2.2.2 >/dev/null
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jsonata-python==0.7.1

cat >reference.js <<'JS'
const jsonata = require('jsonata');
(async () => {
  for (const text of [' 5', '1_000', '5.', '.5', '+5', '1e3']) {
    const seen = await jsonata(`$number('${text}')`).evaluate({}).catch((error) => error.code);
    console.log(`'${text}' ${seen}`);
  }
})();
JS
cat >port.py <<'PY'
import jsonata
for text in (" 5", "1_000", "5.", ".5", "+5", "1e3"):
    print(f"'{text}' {jsonata.Jsonata(f'$number({text!r})').evaluate({}):g}")
PY
node reference.js | tee javascript
python/bin/python port.py | tee python.out
diff javascript - <<'SEEN'
' 5' D3030
'1_000' D3030
'5.' D3030
'.5' D3030
'+5' D3030
'1e3' 1000
SEEN
diff python.out - <<'SEEN'
' 5' 5
'1_000' 1000
'5.' 5
'.5' 0.5
'+5' 5
'1e3' 1000
SEEN
