"""Services and tasks that really run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.balancing import Balancer, forward
from local_aws.tests.clusters import Cluster
from local_aws.tests.support import PATIENCE_SECONDS, Lab, wait_for

EXAMPLE = Path(__file__).parents[2] / "example" / "app.py"


def body_of(address: str) -> str:
    place = address if ":" in address else f"{address}:8080"
    with urllib.request.urlopen(f"http://{place}/", timeout=PATIENCE_SECONDS) as answer:
        text: str = answer.read().decode()
        return text


def answering(address: str) -> str | None:
    try:
        return body_of(address)
    except OSError:
        return None


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_service_runs_its_tasks_on_addresses_of_the_lab(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("registry.example:5000/demo:v1"), 2)
    first = cluster.service()
    assert first["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    service = cluster.settled()
    assert (service["runningCount"], service["pendingCount"]) == (2, 0)
    assert service["deployments"][0]["id"].startswith("ecs-svc/")
    addresses = cluster.addresses()
    assert len(set(addresses)) == 2
    assert all(address.startswith(lab.addresses[: lab.addresses.index(".0.0")] + ".") for address in addresses)
    assert wait_for(lambda: answering(addresses[0])) == "v1"
    digests = {container["imageDigest"] for task in cluster.tasks() for container in task["containers"]}
    assert len(digests) == 1 and digests.pop().startswith("sha256:")
    started = lab.journal_lines(kind="task", event="started", cluster=unique)
    assert [(line["service"], line["version"]) for line in started] == [("app", "v1")] * 2


def test_scaling_in_drains_and_stops_tasks(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.set_deregistration_delay(group, 1)
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 2, (group,))
    cluster.settled()
    assert balancer.states(group) == ["healthy", "healthy"]
    cluster.update(desiredCount=1)
    wait_for(lambda: sorted(balancer.states(group)) == ["draining", "healthy"])
    assert cluster.service()["deployments"][0]["desiredCount"] == 1
    stopped = wait_for(lambda: [task for task in cluster.tasks("STOPPED") if task["lastStatus"] == "STOPPED"])[0]
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    # The demo application does not handle SIGTERM.
    assert stopped["containers"][0]["exitCode"] == 143
    wait_for(lambda: balancer.states(group) == ["healthy"])
    cluster.update(desiredCount=0)
    wait_for(lambda: cluster.service()["runningCount"] == 0 and balancer.states(group) == [])


def test_a_task_that_stops_still_answers_what_it_was_asked(lab: Lab, unique: str, tmp_path: Path) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.set_deregistration_delay(group, 1)
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    mark = tmp_path / "mark"
    environment = [{"name": "MARK", "value": str(mark)}]
    cluster.create(cluster.definition("demo:v1", environment=environment), 1, (group,))
    cluster.settled()
    with ThreadPoolExecutor(1) as clients:
        client = clients.submit(balancer.get, "/held")
        wait_for(Path(f"{mark}.asked").exists)
        cluster.update(desiredCount=0)
        # It has drained, for as long as its group says.
        wait_for(lambda: balancer.states(group) == [])
        assert [task["lastStatus"] for task in cluster.tasks("STOPPED")] == ["DEACTIVATING"]
        mark.touch()
        answer = client.result(PATIENCE_SECONDS)
    assert (answer.status, answer.body) == (200, "v1")
    wait_for(lambda: [task["lastStatus"] for task in cluster.tasks("STOPPED")] == ["STOPPED"])


def test_a_rolling_deployment_replaces_all_tasks_without_a_failed_request(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.set_deregistration_delay(group, 1)
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 2, (group,))
    before = cluster.settled()
    cluster.update(taskDefinition=cluster.definition("demo:v2"))
    during = cluster.service()
    assert [d["status"] for d in during["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert during["deployments"][1]["id"] == before["deployments"][0]["id"]
    seen = set()

    def over() -> bool:
        answer = balancer.get()
        assert answer.status == 200
        seen.add(answer.body)
        (first, *others) = cluster.service()["deployments"]
        return first["rolloutState"] == "COMPLETED" and not others

    wait_for(over, what="the end of the deployment")
    assert seen == {"v1", "v2"}
    assert {balancer.get().body for _ in range(6)} == {"v2"}
    messages = [event["message"] for event in cluster.service()["events"]]
    assert messages[0] == "(service app) has reached a steady state."
    assert any("has begun draining connections" in message for message in messages)


def test_forcing_a_deployment_replaces_tasks_of_the_same_definition(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"))
    cluster.settled()
    (before,) = cluster.tasks()
    cluster.update(forceNewDeployment=True)
    cluster.settled()
    (after,) = cluster.tasks()
    assert before["taskArn"] != after["taskArn"]
    assert before["taskDefinitionArn"] == after["taskDefinitionArn"]


def test_a_task_that_is_stopped_by_hand_is_replaced(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"))
    cluster.settled()
    (task,) = cluster.tasks()
    cluster.ecs.stop_task(cluster=unique, task=task["taskArn"], reason="a test")
    wait_for(lambda: [t for t in cluster.tasks() if t["taskArn"] != task["taskArn"] and t["lastStatus"] == "RUNNING"])
    stopped = cluster.ecs.describe_tasks(cluster=unique, tasks=[task["taskArn"]])["tasks"][0]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "a test")


def test_a_task_that_exits_is_replaced(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"))
    cluster.settled()
    (address,) = cluster.addresses()
    os.kill(listening_process(address), signal.SIGKILL)
    stopped = wait_for(lambda: [t for t in cluster.tasks("STOPPED") if t["lastStatus"] == "STOPPED"])[0]
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["stoppedReason"] == "Essential container in task exited"
    assert stopped["containers"][0]["exitCode"] == 137
    cluster.settled()
    # A new task never gets an address that a connection may still know.
    assert cluster.addresses() != [address]
    (line,) = lab.journal_lines(kind="task", event="stopped", cluster=unique)
    assert (line["exitCode"], line["stopCode"], line["version"]) == (137, "EssentialContainerExited", "v1")


def listening_process(address: str) -> int:
    """The process whose environment binds it to an address of the lab."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"BIND_IP={address}".encode() in environment.read_bytes().split(b"\0"):
                return int(environment.parent.name)
        except (PermissionError, ProcessLookupError, FileNotFoundError):
            continue
    raise AssertionError(f"no process is bound to {address}")


def test_an_image_that_does_not_exist(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("nowhere:v1"))
    stopped = wait_for(lambda: [t for t in cluster.tasks("STOPPED") if t["lastStatus"] == "STOPPED"])[0]
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"].startswith("CannotPullContainerError")
    service = cluster.service()
    assert service["deployments"][0]["failedTasks"] >= 1
    assert service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    cluster.update(desiredCount=0)


def test_a_task_in_two_target_groups(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    first, second = balancer.group(), balancer.group()
    balancer.listen([forward((first, 1), (second, 0))])
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 1, (first, second))
    service = cluster.settled()
    assert [lb["targetGroupArn"] for lb in service["loadBalancers"]] == [first, second]
    assert balancer.states(first) == balancer.states(second) == ["healthy"]


def test_a_task_definition_is_described_as_it_was_registered(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    secret = lab.client("secretsmanager").create_secret(Name=unique, SecretString="hidden")["ARN"]
    options = {"awslogs-group": "/ecs/app", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}
    more = {
        "environment": [{"name": "SLOT", "value": "blue"}],
        "secrets": [{"name": "PASSWORD", "valueFrom": secret}],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
        "dockerLabels": {"Team": "payments"},
        "stopTimeout": 1,
    }
    arn = cluster.definition("demo:v1", **more)
    described = cluster.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    container = described["containerDefinitions"][0]
    assert {key: container[key] for key in more} == more
    assert (described["status"], described["revision"]) == ("ACTIVE", 1)
    # The family alone means its latest revision.
    cluster.definition("demo:v2")
    latest = cluster.ecs.describe_task_definition(taskDefinition=unique)["taskDefinition"]
    assert latest["containerDefinitions"][0]["image"] == "demo:v2"
    cluster.create(arn)
    cluster.settled()


def test_a_single_task_runs_with_its_overrides_until_it_is_stopped(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    override = {"name": "web", "environment": [{"name": "PORT", "value": "8090"}]}
    (task,) = cluster.ecs.run_task(
        cluster=unique,
        taskDefinition=cluster.definition("demo:v1"),
        overrides={"containerOverrides": [override]},
    )["tasks"]
    arn = task["taskArn"]

    def described() -> dict[str, Any]:
        found: dict[str, Any] = cluster.ecs.describe_tasks(cluster=unique, tasks=[arn])["tasks"][0]
        return found

    wait_for(lambda: described()["lastStatus"] == "RUNNING")
    address = described()["attachments"][0]["details"][0]["value"]
    wait_for(lambda: answering(f"{address}:8090"))
    cluster.ecs.stop_task(cluster=unique, task=arn)
    wait_for(lambda: described()["lastStatus"] == "STOPPED")
    assert answering(f"{address}:8090") is None


def test_a_task_that_its_load_balancer_finds_unhealthy_is_replaced(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group(HealthCheckPath="/failing-from-start", Matcher={"HttpCode": "204"})
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 1, (group,), healthCheckGracePeriodSeconds=1)
    stopped = wait_for(lambda: cluster.tasks("STOPPED"), what="a replaced task")[0]
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {group})"
    service = cluster.service()
    assert service["deployments"][0]["failedTasks"] >= 1
    assert service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    cluster.update(desiredCount=0)


def test_what_does_not_exist(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    definition = cluster.definition("demo:v1")
    with pytest.raises(ClientError) as error:
        cluster.update(desiredCount=1)
    assert code(error) == "ServiceNotFoundException"
    with pytest.raises(ClientError) as error:
        cluster.ecs.describe_services(cluster="nowhere", services=["app"])
    assert code(error) == "ClusterNotFoundException"
    missing = cluster.ecs.describe_services(cluster=unique, services=["app"])
    assert [failure["reason"] for failure in missing["failures"]] == ["MISSING"]
    with pytest.raises(ClientError) as error:
        cluster.create("nothing:7")
    assert code(error) == "ClientException"
    # A group that no listener or rule names cannot serve.
    with pytest.raises(ClientError) as error:
        cluster.create(definition, 1, (Balancer(lab, unique).group(),))
    assert code(error) == "InvalidParameterException"
    cluster.create(definition, 1)
    with pytest.raises(ClientError) as error:
        cluster.ecs.delete_service(cluster=unique, service="app")
    assert code(error) == "InvalidParameterException"
    cluster.ecs.delete_service(cluster=unique, service="app", force=True)
    wait_for(lambda: cluster.service()["status"] == "INACTIVE")
    with pytest.raises(ClientError) as error:
        cluster.update(desiredCount=1)
    assert code(error) == "ServiceNotActiveException"


@pytest.fixture
def example(lab: Lab, tmp_path: Path) -> Any:
    """The example application on an address of its own, with a behaviours file."""
    address = f"{lab.addresses[: lab.addresses.index('.0.0')]}.255.9"
    behaviours = tmp_path / "behaviours.json"
    environment = {
        **os.environ,
        "IMAGE_TAG": "v2",
        "SLOT": "green",
        "BIND_IP": address,
        "PORT": "8080",
        "BEHAVIOURS": str(behaviours),
    }
    process = subprocess.Popen([sys.executable, str(EXAMPLE)], env=environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: answering(address))
    yield address, behaviours
    process.terminate()
    process.wait(PATIENCE_SECONDS)


def status_of(address: str, path: str = "/") -> int:
    try:
        with urllib.request.urlopen(f"http://{address}:8080{path}", timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_example_application_behaves_as_its_file_says(example: tuple[str, Path]) -> None:
    address, behaviours = example
    assert body_of(address) == "version=v2 slot=green\n"
    # None of the version's tasks may be healthy, then one.
    behaviours.write_text(json.dumps({"v2": {"healthyTasks": 0}}))
    wait_for(lambda: status_of(address, "/health") == 503)
    behaviours.write_text(json.dumps({"v2": {"healthyTasks": 1}}))
    wait_for(lambda: status_of(address, "/health") == 200)
    behaviours.write_text(json.dumps({"v2": {"healthy": False}}))
    wait_for(lambda: status_of(address, "/health") == 503)
    behaviours.write_text(json.dumps({"v2": {"errorRate": 0.3, "clientErrorRate": 0.1}}))
    wait_for(lambda: status_of(address, "/health") == 200)
    # Where both kinds are due at once, the client error waits for the next request: hence one more.
    statuses = [status_of(address) for _ in range(51)]
    assert (statuses.count(500), statuses.count(404)) == (15, 5)
    behaviours.write_text(json.dumps({"v1": {"errorRate": 1}}))
    wait_for(lambda: [status_of(address) for _ in range(5)] == [200] * 5)


def test_the_example_application_can_fail_to_start(tmp_path: Path) -> None:
    behaviours = tmp_path / "behaviours.json"
    behaviours.write_text(json.dumps({"v3": {"startupFailure": True}}))
    environment = {**os.environ, "IMAGE_TAG": "v3", "BEHAVIOURS": str(behaviours)}
    ended = subprocess.run([sys.executable, str(EXAMPLE)], env=environment, capture_output=True, timeout=PATIENCE_SECONDS)
    assert (ended.returncode, ended.stderr) == (1, b"v3 cannot start\n")
