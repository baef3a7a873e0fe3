"""Queues and functions that tests look into to see what was delivered."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import Any

from local_aws.tests.functions import allow, create_role
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for

FORWARDER = '''
import json, os, urllib.request, boto3
runtime = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
queue = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
while True:
    with urllib.request.urlopen(runtime + "/next") as invocation:
        identifier = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = invocation.read().decode()
    queue.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=event)
    done = urllib.request.Request(f"{runtime}/{identifier}/response", data=b"{}", method="POST")
    urllib.request.urlopen(done).close()
'''


class Inbox:
    """A queue that collects what arrives."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._client = lab.client("sqs")
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": self.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        created = self._client.create_queue(QueueName=name, Attributes={"Policy": policy})
        self.url: str = created["QueueUrl"]
        self.messages: list[dict[str, Any]] = []
        """Whole messages, with their attributes."""

    def poll(self) -> list[Any]:
        """Everything received so far, decoded."""
        received = self._client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in received:
            self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        self.messages += received
        return [json.loads(message["Body"]) for message in self.messages]

    def wait_for(self, number: int = 1) -> list[Any]:
        """Wait until so many messages arrived."""

        def enough() -> list[Any] | None:
            bodies = self.poll()
            return bodies if len(bodies) >= number else None

        return wait_for(enough, what=f"{number} messages")


def forwarding_function(lab: Lab, name: str, inbox: Inbox, **configuration: Any) -> str:
    """A function that puts every event it gets into the inbox; returns its ARN."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, f"#!{sys.executable}\n{FORWARDER}")
    functions = lab.client("lambda")
    arn: str = functions.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=create_role(lab, name, allow("sqs:SendMessage")),
        Code={"ZipFile": content.getvalue()},
        Timeout=20,
        Environment={"Variables": {"QUEUE_URL": inbox.url}},
        **configuration,
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
    )
    return arn


def permit(lab: Lab, function: str, principal: str, source_arn: str) -> None:
    """Let a service invoke the function for one source."""
    lab.client("lambda").add_permission(
        FunctionName=function,
        StatementId=principal.partition(".")[0],
        Action="lambda:InvokeFunction",
        Principal=principal,
        SourceArn=source_arn,
    )
