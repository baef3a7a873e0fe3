#!/usr/bin/env bash
# Reads of Application Auto Scaling may fail because of somebody's write, and botocore 1.44.8 tries none again.
#
# ConcurrentUpdateException is what one expects of a write. AWS's service model declares it of all that describes
# scalable targets, policies and scheduled actions as well. botocore takes it for neither a throttle nor a
# transient error in any retry mode: a description that would succeed a moment later fails at its first answer.
#
# Seen: standard, adaptive and legacy: ConcurrentUpdateException after 1 request of 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check botocore==1.44.8

cat >reads.py <<'PY'
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

class Body:
    def stream(self):
        yield b'{"__type": "ConcurrentUpdateException"}'

session = botocore.session.get_session()
model = session.get_service_model("application-autoscaling")
for read in ("ScalableTargets", "ScalingPolicies", "ScheduledActions"):
    errors = {shape.name for shape in model.operation_model("Describe" + read).error_shapes}
    print(read, "ConcurrentUpdateException" in errors)
for mode in ("standard", "adaptive", "legacy"):
    client = session.create_client(
        "application-autoscaling", "eu-west-1", aws_access_key_id="key", aws_secret_access_key="secret",
        config=Config(retries={"mode": mode, "max_attempts": 5}))
    sent = []
    answer = lambda request, **_: sent.append(request) or AWSResponse(request.url, 400, {}, Body())
    client.meta.events.register("before-send", answer)
    try:
        client.describe_scalable_targets(ServiceNamespace="ecs")
    except client.exceptions.ConcurrentUpdateException:
        print(mode, len(sent))
PY
python/bin/python reads.py | tee seen
diff seen - <<'SEEN'
ScalableTargets True
ScalingPolicies True
ScheduledActions True
standard 1
adaptive 1
legacy 1
SEEN
