"""Services that are not replaced task by task: what tells them apart."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.clusters import Cluster
from local_aws.tests.functions import create_role
from local_aws.tests.support import Lab, wait_for


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_a_service_is_rolling_unless_it_says_otherwise(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"))
    service = cluster.settled()
    assert service["deploymentController"] == {"type": "ECS"}
    assert service["deploymentConfiguration"]["strategy"] == "ROLLING"
    assert service["schedulingStrategy"] == "REPLICA"
    assert service["resourceManagementType"] == "CUSTOMER"
    (revision,) = service["currentServiceRevisions"]
    assert (revision["requestedTaskCount"], revision["runningTaskCount"], revision["pendingTaskCount"]) == (1, 1, 0)


@pytest.mark.parametrize("strategy", ["BLUE_GREEN", "LINEAR", "CANARY"])
def test_strategies_of_ecs_itself_have_no_rollout_state(lab: Lab, unique: str, strategy: str) -> None:
    """The model's text of rolloutState: only returned for services that use the rolling update."""
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 1, deploymentConfiguration={"strategy": strategy})
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    service = cluster.service()
    assert service["deploymentController"] == {"type": "ECS"}
    assert service["deploymentConfiguration"]["strategy"] == strategy
    (deployment,) = service["deployments"]
    assert (deployment["status"], deployment["runningCount"]) == ("PRIMARY", 1)
    assert not {"rolloutState", "rolloutStateReason"} & set(deployment)


def test_a_daemon_has_no_desired_count_of_its_own(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    definition = cluster.definition("demo:v1")
    with pytest.raises(ClientError) as error:
        cluster.create(definition, None, schedulingStrategy="DAEMON")  # type: ignore[arg-type]
    assert refusal(error)[0] == "InvalidParameterException"
    with pytest.raises(ClientError) as error:
        cluster.create(definition, 2, schedulingStrategy="DAEMON", launchType="EC2")
    assert refusal(error)[0] == "InvalidParameterException"
    cluster.create(definition, None, schedulingStrategy="DAEMON", launchType="EC2")  # type: ignore[arg-type]
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    service = cluster.service()
    assert service["schedulingStrategy"] == "DAEMON"
    assert service["deploymentConfiguration"]["maximumPercent"] == 100


def test_a_service_of_codedeploy_shows_no_deployments(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 1, deploymentController={"type": "CODE_DEPLOY"})
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    service = cluster.service()
    assert (service["deployments"], service["deploymentController"]) == ([], {"type": "CODE_DEPLOY"})
    assert "strategy" not in service["deploymentConfiguration"]
    with pytest.raises(ClientError) as error:
        cluster.update(taskDefinition=cluster.definition("demo:v2"))
    assert refusal(error) == (
        "InvalidParameterException",
        "Unable to update task definition on services with a CODE_DEPLOY deployment controller. "
        "Use AWS CodeDeploy to trigger a new deployment.",
    )
    assert cluster.update(desiredCount=2)["desiredCount"] == 2


def test_a_service_of_an_external_controller_runs_nothing_by_itself(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    external: dict[str, Any] = {"deploymentController": {"type": "EXTERNAL"}, "launchType": None}
    cluster.create(None, 1, **external)  # type: ignore[arg-type]
    service = cluster.service()
    assert (service["deployments"], service["desiredCount"]) == ([], 1)
    assert "taskDefinition" not in service
    with pytest.raises(ClientError) as error:
        cluster.update(forceNewDeployment=True)
    assert refusal(error)[0] == "InvalidParameterException"
    assert cluster.tasks() == []


def test_an_express_service_is_managed_by_ecs(lab: Lab, unique: str) -> None:
    """express-service-update-full: Express services use canary deployments by default."""
    cluster = Cluster(lab, unique)
    role = create_role(lab, unique, service="ecs-tasks")
    created = cluster.ecs.create_express_gateway_service(
        cluster=unique,
        serviceName="app",
        executionRoleArn=role,
        infrastructureRoleArn=role,
        primaryContainer={"image": "demo:v1", "containerPort": 8080},
    )["service"]
    service = cluster.service()
    assert (created["serviceArn"], created["status"]["statusCode"]) == (service["serviceArn"], "ACTIVE")
    assert service["resourceManagementType"] == "ECS"
    assert service["deploymentConfiguration"]["strategy"] == "CANARY"
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    with pytest.raises(ClientError) as error:
        cluster.ecs.create_express_gateway_service(cluster=unique, serviceName="b", infrastructureRoleArn=role)
    assert refusal(error)[0] == "InvalidParameterException"
