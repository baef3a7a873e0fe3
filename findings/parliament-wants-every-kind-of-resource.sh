#!/usr/bin/env bash
# parliament 1.6.4 (PyPI), a linter of IAM policies, finds a mistake in a right policy for a listener rule.
#
# `elasticloadbalancing:ModifyRule` takes the ARN of a rule of an Application Load Balancer or of one of a
# Network Load Balancer. The linter demands a resource of every kind that an action can have, so a policy
# that is as narrow as it should be, one rule of one Application Load Balancer, has RESOURCE_MISMATCH; twice,
# because AWS's data names the kind twice. With a rule of a Network Load Balancer beside it, which the
# role does not need, nothing is found.
#
# Seen: RESOURCE_MISMATCH with required_format arn:*:elasticloadbalancing:*:*:listener-rule/net/*/*/*/*
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
# It imports pkg_resources, which later versions of setuptools do not have.
python/bin/pip install --quiet --disable-pip-version-check parliament==1.6.4 'setuptools<81'

cat >lint.py <<'PY'
import json
from parliament import analyze_policy_string

RULE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/{}/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
for kinds in (["app"], ["app", "net"]):
    resources = [RULE.format(kind) for kind in kinds]
    statement = {"Effect": "Allow", "Action": "elasticloadbalancing:ModifyRule", "Resource": resources}
    findings = analyze_policy_string(json.dumps({"Version": "2012-10-17", "Statement": [statement]})).findings
    print(kinds, [(finding.issue, [part["required_format"] for part in finding.detail]) for finding in findings])
PY
python/bin/python -W ignore lint.py | tee seen
diff seen - <<'SEEN'
['app'] [('RESOURCE_MISMATCH', ['arn:*:elasticloadbalancing:*:*:listener-rule/net/*/*/*/*', 'arn:*:elasticloadbalancing:*:*:listener-rule/net/*/*/*/*'])]
['app', 'net'] []
SEEN
