#!/usr/bin/env bash
# spotify-confidence 4.1.0 (PyPI) has an interval of no width where no request was bad.
#
# The z test takes the variance from what was seen. Where neither version had a bad request the variance is
# 0, so 3 requests of the new version prove as much as 3 million: the difference lies between 0 and 0. The p
# value is NaN, and `is_significant` False. Whoever compares the upper end of the interval with what may be bad
# at most has an answer after the first three requests.
#
# Seen: 0 of 1000 and 0 of 3: difference 0.0, from 0.0 to 0.0, p nan, not significant
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check spotify-confidence==4.1.0

cat >compare.py <<'PY'
import pandas
import spotify_confidence

for requests in (3, 100):
    counts = pandas.DataFrame([("stable", 0, 1000), ("canary", 0, requests)], columns=["version", "bad", "requests"])
    test = spotify_confidence.ZTest(
        counts,
        numerator_column="bad",
        numerator_sum_squares_column=None,
        denominator_column="requests",
        categorical_group_columns="version",
    )
    seen = test.difference(level_1="stable", level_2="canary").iloc[0]
    print(requests, seen["difference"], seen["ci_lower"], seen["ci_upper"], seen["p-value"], seen["is_significant"])
PY
python/bin/python -W ignore compare.py | tee seen
diff seen - <<'SEEN'
3 0.0 0.0 0.0 nan False
100 0.0 0.0 0.0 nan False
SEEN
