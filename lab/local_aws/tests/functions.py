"""Roles and functions for tests."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from local_aws.tests.support import ACCOUNT, Lab

Statement = dict[str, Any]


def allow(*actions: str, resource: str | list[str] = "*") -> Statement:
    """A policy statement."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def create_role(lab: Lab, name: str, *statements: Statement, service: str = "lambda") -> str:
    """A role that the service may assume, with these statements as its only policy; returns its ARN."""
    iam = lab.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [trust]}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))["Role"]["Arn"]
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=json.dumps(document))
    return arn


@cache
def probe_zip() -> bytes:
    """The deployment package of ``probe_function``, run by the Python that runs the tests."""
    source = (Path(__file__).parent / "probe_function.py").read_text()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, f"#!{sys.executable}\n{source}")
    return content.getvalue()


def create_function(lab: Lab, name: str, *statements: Statement, **configuration: Any) -> str:
    """The probe as a function with a role of its own; returns its ARN."""
    role = create_role(lab, name, *statements)
    functions = lab.client("lambda")
    # Twenty at once on a busy machine take their time; probes of time-outs set their own.
    settings = {"Timeout": 60, **configuration}
    arn: str = functions.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=role,
        Code={"ZipFile": probe_zip()},
        **settings,
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    return arn


def invoke(lab: Lab, name: str, event: Any) -> tuple[Any, str | None]:
    """Call a function and wait: what it answered and the kind of function error, if any."""
    answer = lab.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def function_arn(name: str) -> str:
    """The ARN of a function in the lab."""
    return f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}"
