#!/usr/bin/env bash
# standardwebhooks 1.1.0 (PyPI) signs another instant than it is given, if that is not in UTC.
#
# `Webhook.sign` takes an aware `datetime`. It does not convert it: it replaces its time zone by UTC, so that
# 12:00 in Berlin is signed as 12:00 UTC, an hour or two later. A sender that puts the instant's own seconds
# into `webhook-timestamp`, as the specification wants, is refused by the same library's `verify`: "No matching
# signature found", which sends whoever reads it to the secret. In a process whose times are in UTC, as most
# tests are, nothing is seen.
#
# Seen: one instant in two zones has two signatures, and the one that is not in UTC is not verified.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check standardwebhooks==1.1.0

cat >seen.py <<'P'
import sys
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(b"0123456789abcdef0123456789abcdef")
now = datetime.now(timezone.utc).replace(microsecond=0)
elsewhere = now.astimezone(timezone(timedelta(hours=2)))
assert now == elsewhere


def verified(instant):
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(instant.timestamp())),
        "webhook-signature": webhook.sign("msg_1", instant, "{}"),
    }
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


seen = verified(now), verified(elsewhere)
print("in UTC: %s; two hours east of it: %s" % seen)
sys.exit(0 if seen == ("verified", "No matching signature found") else "an instant is signed as what it is now")
P
venv/bin/python seen.py
