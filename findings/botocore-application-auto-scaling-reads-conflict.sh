#!/usr/bin/env bash
# botocore 1.43.106: reads of Application Auto Scaling may fail because of somebody's write, and are not tried again.
#
# ConcurrentUpdateException ("concurrent updates caused an exception") is what one expects of a write. AWS's
# service model declares it of DescribeScalableTargets, DescribeScalingPolicies and DescribeScheduledActions as
# well, and of no other kind of read of ECS or Elastic Load Balancing. botocore takes it for neither a throttle nor
# a transient error, in none of its retry modes: a description that would succeed a moment later fails at the
# first answer, with `max_attempts` at 5. Whoever deploys should take it for "come back later".
#
# Seen: standard, adaptive and legacy: ConcurrentUpdateException after 1 request
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check botocore==1.43.106

cat >probe.py <<'PYTHON'
import http.server
import json
import threading

import botocore.config
import botocore.exceptions
import botocore.session

session = botocore.session.get_session()
model = session.get_service_model("application-autoscaling")
reads = [name for name in model.operation_names if name.startswith("Describe")]
declare = [
    name
    for name in reads
    if any(shape.name == "ConcurrentUpdateException" for shape in model.operation_model(name).error_shapes)
]
for name in ("DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions"):
    assert name in declare, (name, declare)
for other in ("ecs", "elbv2"):
    service = session.get_service_model(other)
    for name in service.operation_names:
        if name.startswith(("Describe", "List")):
            errors = {shape.name for shape in service.operation_model(name).error_shapes}
            assert not any("Concurrent" in error for error in errors), (other, name)

requests = []


class Once(http.server.BaseHTTPRequestHandler):
    """The first answer is a conflict, every later one is empty."""

    def do_POST(self):
        requests.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        conflict = len(requests) == 1
        answer = {"__type": "ConcurrentUpdateException", "Message": "try later"} if conflict else {"ScalableTargets": []}
        body = json.dumps(answer).encode()
        self.send_response(400 if conflict else 200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Once)
threading.Thread(target=server.serve_forever, daemon=True).start()
for mode in ("standard", "adaptive", "legacy"):
    requests.clear()
    client = session.create_client(
        "application-autoscaling",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=botocore.config.Config(retries={"mode": mode, "max_attempts": 5}),
    )
    try:
        client.describe_scalable_targets(ServiceNamespace="ecs")
    except botocore.exceptions.ClientError as error:
        print(f"{mode}: {error.response['Error']['Code']} after {len(requests)} request")
        assert error.response["Error"]["Code"] == "ConcurrentUpdateException"
        assert len(requests) == 1, requests
    else:
        raise SystemExit(f"{mode} tries again now: {len(requests)} requests")
PYTHON
venv/bin/python probe.py
