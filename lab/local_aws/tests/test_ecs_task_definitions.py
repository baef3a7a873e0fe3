"""Task definitions: what is registered is what is described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, Shape, StructureShape

from local_aws.tests.functions import allow, create_role
from local_aws.tests.roles import DENIED, code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab

WHOLE = Path(__file__).parents[3] / "cli/tests/task-definitions/whole.json"
DEFINITION = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/"


def members_missing(shape: Shape, value: Any, place: str) -> list[str]:
    """Members of the model that a document does not have; of a list the first entry counts."""
    if isinstance(shape, StructureShape):
        absent = [f"{place}.{name}" for name in shape.members if name not in value]
        known = [(name, member) for name, member in shape.members.items() if name in value]
        return absent + [lost for name, member in known for lost in members_missing(member, value[name], f"{place}.{name}")]
    if isinstance(shape, ListShape):
        return members_missing(shape.member, value[0], f"{place}[]")
    return []


def test_the_example_of_the_command_line_has_every_member_of_the_model() -> None:
    model = botocore.session.Session().get_service_model("ecs").operation_model("DescribeTaskDefinition")
    answer = json.loads(WHOLE.read_text())
    assert members_missing(model.output_shape.members["taskDefinition"], answer["taskDefinition"], "$") == []


def registered(lab: Lab, unique: str, **more: Any) -> dict[str, Any]:
    container = {"name": "web", "image": "demo:v1"}
    answer: dict[str, Any] = lab.client("ecs").register_task_definition(
        family=unique, containerDefinitions=[container], **more
    )
    return answer


def test_every_member_is_kept_and_nothing_is_made_up(lab: Lab, unique: str) -> None:
    given = {
        "enableFaultInjection": True,
        "ephemeralStorage": {"sizeInGiB": 30},
        "inferenceAccelerators": [{"deviceName": "one", "deviceType": "eia2.medium"}],
        "pidMode": "task",
    }
    arn = registered(lab, unique, **given)["taskDefinition"]["taskDefinitionArn"]
    described = lab.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert {name: described[name] for name in given} == given
    assert not {"proxyConfiguration", "runtimePlatform", "taskRoleArn", "ipcMode"} & described.keys()
    assert described["containerDefinitions"][0]["environment"] == []


def test_tags_are_shown_to_whoever_asks(lab: Lab, unique: str) -> None:
    tags = [{"key": "team", "value": "payments"}]
    registered(lab, unique, tags=tags)
    ecs = lab.client("ecs")
    assert "tags" not in ecs.describe_task_definition(taskDefinition=unique)
    assert ecs.describe_task_definition(taskDefinition=unique, include=["TAGS"])["tags"] == tags
    with pytest.raises(ClientError) as reserved:
        registered(lab, unique, tags=[{"key": "aws:cloudformation:stack-name", "value": "shop"}])
    assert "reserved" in str(reserved.value)


def test_whoever_registers_passes_the_roles_and_gives_the_tags(lab: Lab, unique: str) -> None:
    task_role = create_role(lab, f"{unique}-task", service="ecs-tasks")
    request = {
        "family": unique,
        "containerDefinitions": [{"name": "web", "image": "demo:v1"}],
        "taskRoleArn": task_role,
        "tags": [{"key": "team", "value": "payments"}],
    }
    passed = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
    tagging = {"Condition": {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}}
    needed = [
        allow("ecs:RegisterTaskDefinition"),
        allow("iam:PassRole", resource=task_role) | passed,
        allow("ecs:TagResource", resource=f"{DEFINITION}*") | tagging,
    ]
    for lacking in range(len(needed)):
        role = create_role(lab, f"{unique}-{lacking}", *(needed[:lacking] + needed[lacking + 1 :]))
        assert code_of(lab, role, "ecs", "register_task_definition", request) in DENIED, lacking
    role = create_role(lab, f"{unique}-all", *needed)
    assert code_of(lab, role, "ecs", "register_task_definition", request) is None
