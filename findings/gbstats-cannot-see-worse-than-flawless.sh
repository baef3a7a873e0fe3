#!/usr/bin/env bash
# gbstats 0.8.0 (PyPI, GrowthBook's statistics) says "no difference" where the old version never fails.
#
# With 1000 requests of the old version without a bad one, and 50 bad ones in 100 of the new one, the answer
# is an effect of 0, the interval [0, 0] and a p value of 1: for the sequential test as for the other, and even
# if the difference is to be absolute. The reason stands in `error_message` only. With one bad request of the
# old version the absolute test is certain of the difference. The more reliable a service is, the less is seen.
#
# Seen: 0 of 1000 and 50 of 100: effect 0.0, [0.0, 0.0], p 1.0, ZERO_NEGATIVE_BASELINE_VARIATION
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check gbstats==0.8.0

cat >compare.py <<'PY'
from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
from gbstats.models.statistics import ProportionStatistic

canary = ProportionStatistic(n=100, sum=50)
for test, config in (
    (SequentialTwoSidedTTest, SequentialConfig()),
    (TwoSidedTTest, FrequentistConfig()),
    (TwoSidedTTest, FrequentistConfig(difference_type="absolute")),
):
    for bad in (0, 1):
        seen = test(ProportionStatistic(n=1000, sum=bad), canary, config).compute_result()
        interval = [round(edge, 1) for edge in seen.ci]
        print(test.__name__, config.difference_type, bad, round(seen.expected, 1), interval, round(seen.p_value, 3), seen.error_message)
PY
python/bin/python -W ignore compare.py | tee seen
grep -qx 'SequentialTwoSidedTTest relative 0 0.0 \[0.0, 0.0\] 1.0 ZERO_NEGATIVE_BASELINE_VARIATION' seen
grep -qx 'TwoSidedTTest relative 0 0.0 \[0.0, 0.0\] 1.0 ZERO_NEGATIVE_BASELINE_VARIATION' seen
grep -qx 'TwoSidedTTest absolute 0 0.0 \[0.0, 0.0\] 1.0 ZERO_NEGATIVE_BASELINE_VARIATION' seen
grep -qx 'TwoSidedTTest absolute 1 0.5 \[0.4, 0.6\] 0.0 None' seen
