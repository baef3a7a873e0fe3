"""A cluster with one service, for tests."""

from __future__ import annotations

from typing import Any

from local_aws.tests.support import Lab, wait_for


class Cluster:
    """A cluster and helpers to run the demo image in it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.ecs = lab.client("ecs")
        self.name = name
        self.ecs.create_cluster(clusterName=name)

    def definition(self, image: str, **container: Any) -> str:
        """Register a task definition with one container."""
        web = {
            "name": "web",
            "image": image,
            "essential": True,
            "portMappings": [{"containerPort": 8080}],
            **container,
        }
        arn: str = self.ecs.register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[web],
        )["taskDefinition"]["taskDefinitionArn"]
        return arn

    def create(self, definition: str, count: int = 1, groups: tuple[str, ...] = (), **more: Any) -> None:
        """Create the service ``app``; what is given as None is left out."""
        balancers = [
            {"targetGroupArn": group, "containerName": "web", "containerPort": 8080} for group in groups
        ]
        settings: dict[str, Any] = {
            "taskDefinition": definition,
            "desiredCount": count,
            "launchType": "FARGATE",
            "loadBalancers": balancers,
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
            **more,
        }
        settings = {name: value for name, value in settings.items() if value is not None}
        self.ecs.create_service(cluster=self.name, serviceName="app", **settings)

    def update(self, **changes: Any) -> dict[str, Any]:
        """UpdateService."""
        service: dict[str, Any] = self.ecs.update_service(cluster=self.name, service="app", **changes)["service"]
        return service

    def service(self) -> dict[str, Any]:
        """DescribeServices."""
        found: dict[str, Any] = self.ecs.describe_services(cluster=self.name, services=["app"])["services"][0]
        return found

    def settled(self) -> dict[str, Any]:
        """Wait until the service has one completed deployment."""

        def complete() -> dict[str, Any] | None:
            service = self.service()
            (first, *others) = service["deployments"]
            done = first["rolloutState"] == "COMPLETED" and not others
            return service if done and service["runningCount"] == service["desiredCount"] else None

        return wait_for(complete, what="a steady service")

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """ListTasks and DescribeTasks."""
        arns = self.ecs.list_tasks(cluster=self.name, serviceName="app", desiredStatus=status)["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"]
        return found

    def addresses(self) -> list[str]:
        """The addresses of the running tasks."""
        return [
            detail["value"]
            for task in self.tasks()
            for attachment in task["attachments"]
            for detail in attachment["details"]
            if detail["name"] == "privateIPv4Address"
        ]
