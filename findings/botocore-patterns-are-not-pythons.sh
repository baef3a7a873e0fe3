#!/usr/bin/env bash
# The patterns in botocore 1.44.8's service models are Java's, and Python cannot read all of them.
#
# botocore carries the patterns of AWS's own models and never uses them: a parameter that does not match is
# found by the service. Whoever uses them (a stand-in for AWS that is as strict as AWS) finds that one in
# thirteen is refused by Python's `re`: classes like \p{L} and \p{Print}, and surrogates as Java writes
# them (\uD800\uDC00-\uDBFF\uDFFF is one range of characters there, and a range from \uDC00 down to \uDBFF
# here). Even Elastic Load Balancing's and ECS's names of tags are among them.
#
# Seen: 748 of 10093 patterns do not compile; elbv2 TagKey: bad escape \p at position 3;
#       application-autoscaling Expression: bad character range \u-\u at position 41
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check botocore==1.44.8

cat >compile.py <<'PY'
import re
from botocore.loaders import Loader

loader = Loader()
refused, patterns = {}, 0
for service in loader.list_available_services("service-2"):
    for name, shape in loader.load_service_model(service, "service-2")["shapes"].items():
        if "pattern" in shape:
            patterns += 1
            try:
                re.compile(shape["pattern"])
            except re.error as error:
                refused[service, name] = error
print(len(refused), "of", patterns)
for key in (("elbv2", "TagKey"), ("ecs", "TagKey"), ("application-autoscaling", "Expression")):
    print(*key, refused[key])
PY
python/bin/python -W ignore compile.py | tee seen
diff seen - <<'SEEN'
748 of 10093
elbv2 TagKey bad escape \p at position 3
ecs TagKey bad escape \p at position 2
application-autoscaling Expression bad character range \u-\u at position 41
SEEN
