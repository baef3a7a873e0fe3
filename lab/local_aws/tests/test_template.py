"""The product's own template: what its parameters make of it, and which values are refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.package import template_key
from local_aws.tests.functions import probe_zip
from local_aws.tests.support import ACCOUNT, PACKAGE_PARENT, REGION, Lab

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS = (
    "advance", "complete", "decide", "drift", "gate", "notify", "page", "plan", "rollback", "start", "sweep", "validate",
)  # fmt: skip
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("1234abcd", "mrk-5678")]
Deploy = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def template(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged template; every function is the probe."""
    binaries = tmp_path_factory.mktemp("binaries")
    bootstrap = zipfile.ZipFile(io.BytesIO(probe_zip())).read("bootstrap")
    for name in FUNCTIONS:
        (binaries / name).write_bytes(bootstrap)
    command = [sys.executable, "-m", "local_aws.package", "--endpoint", lab.endpoint, "--bucket", "template"]
    command += ["--template", str(ROOT / "template.yaml"), "--binaries", str(binaries)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def create(lab: Lab, template: str, name: str, parameters: dict[str, str]) -> None:
    given = {"Architecture": "x86_64", "RollbackReservedConcurrency": "0", **parameters}
    lab.client("cloudformation").create_stack(
        StackName=name,
        TemplateURL=f"https://s3.{REGION}.amazonaws.com/template/{template_key(template.strip())}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )


@pytest.fixture
def deploy(lab: Lab, template: str, unique: str) -> Deploy:
    """Creates the stack and gives its resources: what each logical id is in the account."""

    def deployed(**parameters: str) -> dict[str, str]:
        stacks = lab.client("cloudformation")
        create(lab, template, unique, parameters)
        waiter = stacks.get_waiter("stack_create_complete")
        waiter.wait(StackName=unique, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
        resources = stacks.describe_stack_resources(StackName=unique)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    return deployed


def statements(lab: Lab, resources: dict[str, str], role: str) -> list[dict[str, Any]]:
    """What a role's own policy says."""
    name = resources[f"{role.capitalize()}Role"]
    policy = lab.client("iam").get_role_policy(RoleName=name, PolicyName=role)
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def senders(lab: Lab, resources: dict[str, str]) -> dict[str, Any]:
    """Who may write to the dead-letter queue, and of which source."""
    queue = resources["Undelivered"]
    attributes = lab.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]
    policy = json.loads(attributes["Policy"])
    return {statement["Principal"]["Service"]: statement["Condition"] for statement in policy["Statement"]}


def test_the_defaults_name_no_topic_and_no_key(lab: Lab, deploy: Deploy) -> None:
    resources = deploy()
    assert "RollbackByAlarmTopic" not in resources
    rules = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/*"
    assert senders(lab, resources) == {"events.amazonaws.com": {"ArnLike": {"aws:SourceArn": rules}}}
    actions = [statement["Action"] for statement in statements(lab, resources, "notify")]
    assert not [action for action in actions if "kms" in str(action)]


def test_the_state_machine_is_of_the_partition(lab: Lab, deploy: Deploy) -> None:
    machine = deploy()["Deployment"]
    definition = lab.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"]
    states = json.loads(definition)["States"].values()
    invoked = {state["Resource"] for state in states if "Resource" in state}
    invoke = "arn:aws:states:::lambda:invoke"
    assert invoked == {invoke, f"{invoke}.waitForTaskToken"}
    assert "${" not in definition


def test_keys_are_used_through_their_services_only(lab: Lab, deploy: Deploy) -> None:
    resources = deploy(ChannelKeyArns=",".join(KEYS))
    found = {}
    for statement in statements(lab, resources, "notify"):
        if "kms:Decrypt" in statement["Action"]:
            assert statement["Resource"] == KEYS
            through = set(statement["Condition"]["StringEquals"]["kms:ViaService"])
            found[through.pop()] = statement["Action"]
    assert found == {
        f"sns.{REGION}.amazonaws.com": ["kms:GenerateDataKey*", "kms:Decrypt"],
        f"secretsmanager.{REGION}.amazonaws.com": ["kms:Decrypt"],
    }


@pytest.mark.parametrize("kept", ["keep", "none"])
def test_what_a_topic_cannot_deliver_is_kept_where_sns_allows_it(
    lab: Lab, deploy: Deploy, unique: str, kept: str
) -> None:
    sns = lab.client("sns")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    resources = deploy(AlarmTopic=topic, AlarmTopicDeadLetters=kept)
    assert senders(lab, resources)["sns.amazonaws.com"] == {"ArnEquals": {"aws:SourceArn": topic}}
    subscription = sns.get_subscription_attributes(SubscriptionArn=resources["RollbackByAlarmTopic"])
    assert bool(subscription["Attributes"].get("RedrivePolicy")) == (kept == "keep")


def test_only_advance_may_pass_roles_and_only_to_tasks(lab: Lab, deploy: Deploy) -> None:
    resources = deploy(TaskRolePattern="service/shop-*")
    roles = [name.removesuffix("Role").lower() for name in resources if name.endswith("Role")]
    passing = {}
    for role in (role for role in roles if role in FUNCTIONS):
        for statement in statements(lab, resources, role):
            if "iam:PassRole" in statement["Action"]:
                passing[role] = statement
    assert list(passing) == ["advance"]
    assert passing["advance"]["Resource"] == f"arn:aws:iam::{ACCOUNT}:role/service/shop-*"
    to = passing["advance"]["Condition"]["StringEquals"]["iam:PassedToService"]
    assert set(to) == {"ecs-tasks.amazonaws.com"}


def test_whoever_writes_the_approver_s_policy_by_the_runbook_writes_the_stack_s_own(lab: Lab, deploy: Deploy) -> None:
    """Without its conditions an approver could write who they are."""
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    shown = runbook.split("`ApproverPolicy`, for whoever writes their own", 1)[1].split("```json\n", 1)[1]
    resources = deploy()
    arn = lab.client("lambda").get_function(FunctionName=resources["DecideFunction"])["Configuration"]["FunctionArn"]
    written = json.loads(shown.split("```", 1)[0].replace("DECIDE", arn))
    iam = lab.client("iam")
    policy = iam.get_policy_version(PolicyArn=resources["ApproverPolicy"], VersionId="v1")
    assert policy["PolicyVersion"]["Document"] == written


def test_what_is_demanded_of_approvals_comes_to_whoever_reads_it(lab: Lab, deploy: Deploy) -> None:
    demanded = '{"requiredFor": ["production/*"]}'
    resources = deploy(ApprovalPolicy=demanded)
    mains = (ROOT / "functions").glob("*/main.rs")
    readers = {main.parent.name for main in mains if "approval_policy()" in main.read_text(encoding="utf-8")}
    given = {}
    for logical in (logical for logical in resources if logical.endswith("Function")):
        settings = lab.client("lambda").get_function_configuration(FunctionName=resources[logical])
        variables = settings["Environment"]["Variables"]
        if "GLIDEPATH_APPROVAL_POLICY" in variables:
            given[logical.removesuffix("Function").lower()] = variables["GLIDEPATH_APPROVAL_POLICY"]
    # Whoever reads it where it is not demands nothing.
    assert readers and given == dict.fromkeys(readers, demanded)


@pytest.mark.parametrize("bucket", ["", "kept-for-auditors"])
def test_only_a_stack_with_an_audit_bucket_may_put_anything_and_only_one_function_knows_of_it(
    lab: Lab, deploy: Deploy, bucket: str
) -> None:
    resources = deploy(AuditBucket=bucket)
    puts = [statement for statement in statements(lab, resources, "notify") if "s3" in str(statement)]
    resource = f"arn:aws:s3:::{bucket}/glidepath/*"
    assert puts == ([{"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": resource}] if bucket else [])
    for logical in (logical for logical in resources if logical.endswith("Function")):
        settings = lab.client("lambda").get_function_configuration(FunctionName=resources[logical])
        given = settings["Environment"]["Variables"].get("GLIDEPATH_AUDIT_BUCKET")
        assert given == (bucket if logical == "NotifyFunction" else None)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("ChannelKeyArns", "alias/channels", "ARNs of KMS keys"),
        ("ChannelKeyArns", ", ".join(KEYS), "separated by commas and nothing else"),
        ("AlarmTopic", f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms.fifo", "ARN of a standard SNS topic"),
        ("AlarmTopic", "alarms", "ARN of a standard SNS topic"),
        ("AuditBucket", "arn:aws:s3:::kept", "the name of a bucket, not its ARN"),
        ("Channels", "x" * 3501, "at most 3500 characters"),
        ("MetricPeriodSeconds", "2", "AllowedValues"),
        ("AlarmTopicDeadLetters", "elsewhere", "AllowedValues"),
    ],
)
def test_a_value_that_cannot_work_is_refused_before_anything_is_created(
    lab: Lab, template: str, unique: str, parameter: str, value: str, said: str
) -> None:
    with pytest.raises(ClientError) as refused:
        create(lab, template, unique, {parameter: value})
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(f"Parameter '{parameter}'") and said in error["Message"], error
    stacks = lab.client("cloudformation").list_stacks()["StackSummaries"]
    assert unique not in [stack["StackName"] for stack in stacks]
