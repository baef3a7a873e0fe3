"""What the tests of the load balancer share: targets to forward to, and a load balancer in front."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config

from local_aws.tests.support import PATIENCE_SECONDS, REGION, Lab, wait_for

PRIVILEGED_PORT_OFFSET = 10_000


@dataclass
class FakeTarget:
    """An HTTP server within the test process whose answers the test decides."""

    name: str
    status: int = 200
    healthy: bool = True
    keep_alive: bool = True
    seen: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    def registration(self) -> dict[str, Any]:
        """The target as RegisterTargets takes it."""
        return {"Id": "127.0.0.1", "Port": self.port}


@contextmanager
def serving(target: FakeTarget) -> Iterator[FakeTarget]:
    """Serve a fake target on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet per answer: else the delayed acknowledgement costs 40 ms.
        wbufsize = 65_536

        def do_GET(self) -> None:  # noqa: N802 (the name is the standard library's)
            probing = self.path == "/health"
            if not probing:
                headers = {name.lower(): value for name, value in self.headers.items()}
                target.seen.append({":path": self.path, **headers})
            body = target.name.encode()
            self.send_response((200 if target.healthy else 503) if probing else target.status)
            self.send_header("Content-Length", str(len(body)))
            if not target.keep_alive:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """No access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    target.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Answer:
    """What a client got."""

    status: int
    body: str
    headers: list[tuple[str, str]]


class Balancer:
    """One load balancer with one listener, and helpers to change it."""

    def __init__(self, lab: Lab, name: str, port: int = 8080) -> None:
        # boto3 would refuse health check intervals below AWS's 5 s before they are sent.
        self.elb = boto3.session.Session().client(
            "elbv2",
            region_name=REGION,
            endpoint_url=lab.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
        self.name = name
        self.port = port
        created = self.elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])
        self.arn: str = created["LoadBalancers"][0]["LoadBalancerArn"]
        self.address: str = created["LoadBalancers"][0]["DNSName"]
        self._groups = 0
        self.listener = ""

    def group(self, **settings: Any) -> str:
        """Create a target group with fast health checks and no deregistration delay."""
        self._groups += 1
        defaults: dict[str, Any] = {
            "Protocol": "HTTP",
            "Port": 80,
            "VpcId": "vpc-1",
            "TargetType": "ip",
            "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 1,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
        }
        arn: str = self.elb.create_target_group(
            Name=f"{self.name[:28]}-{self._groups}", **{**defaults, **settings}
        )["TargetGroups"][0]["TargetGroupArn"]
        self.set_deregistration_delay(arn, 0)
        return arn

    def set_deregistration_delay(self, group: str, seconds: int) -> None:
        """Set for how long targets drain."""
        self.elb.modify_target_group_attributes(
            TargetGroupArn=group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}],
        )

    def listen(self, actions: list[dict[str, Any]]) -> str:
        """Create the listener and wait until it accepts connections."""
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.arn, Port=self.port, Protocol="HTTP", DefaultActions=actions
        )["Listeners"][0]["ListenerArn"]
        wait_for(self._accepts, what="the listener")
        return self.listener

    def _accepts(self) -> bool:
        try:
            self.get("/accepting")
        except OSError:
            return False
        return True

    def register(self, group: str, *targets: FakeTarget, healthy: bool = True) -> None:
        """Register targets and wait for their health."""
        self.elb.register_targets(
            TargetGroupArn=group, Targets=[target.registration() for target in targets]
        )
        if healthy:
            wait_for(lambda: set(self.states(group)) == {"healthy"}, what="healthy targets")

    def states(self, group: str) -> list[str]:
        """The states of all targets of a group."""
        return [item["TargetHealth"]["State"] for item in self.health(group)]

    def health(self, group: str) -> list[dict[str, Any]]:
        """The descriptions of all targets of a group."""
        found: list[dict[str, Any]] = self.elb.describe_target_health(TargetGroupArn=group)[
            "TargetHealthDescriptions"
        ]
        return found

    def get(self, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """Send one request to the listener."""
        port = self.port if self.port >= 1024 else self.port + PRIVILEGED_PORT_OFFSET
        connection = http.client.HTTPConnection(self.address, port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.getheaders())
        finally:
            connection.close()


def forward(*weighted: tuple[str, int], sticky_seconds: int = 0, **more: Any) -> dict[str, Any]:
    """A forward action."""
    config: dict[str, Any] = {
        "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weighted]
    }
    if sticky_seconds:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky_seconds}
    return {"Type": "forward", "ForwardConfig": config, **more}


def weights(action: dict[str, Any]) -> dict[str, int]:
    """The weights of a forward action, whatever the order of its groups."""
    return {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}


def fixed(status: int, body: str = "") -> dict[str, Any]:
    """A fixed-response action."""
    return {
        "Type": "fixed-response",
        "FixedResponseConfig": {"StatusCode": str(status), "ContentType": "text/plain", "MessageBody": body},
    }
