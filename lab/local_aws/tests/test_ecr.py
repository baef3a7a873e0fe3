"""ECR: what can be pulled, and what AWS says of the rest."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.clusters import Cluster
from local_aws.tests.functions import allow, create_role
from local_aws.tests.roles import DENIED, code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
INDEX = "application/vnd.oci.image.index.v1+json"


class Repository:
    """A repository and what is asked of it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.ecr = lab.client("ecr")
        self.name = name
        self.ecr.create_repository(repositoryName=name)

    def push(self, build: str, tag: str, **more: Any) -> str:
        """Push a build under a tag; its digest."""
        pushed = self.ecr.put_image(repositoryName=self.name, imageManifest=build, imageTag=tag, **more)
        digest: str = pushed["image"]["imageId"]["imageDigest"]
        assert digest == f"sha256:{hashlib.sha256(build.encode()).hexdigest()}"
        return digest

    def describe(self, *images: dict[str, str], **more: Any) -> list[dict[str, Any]]:
        """DescribeImages."""
        ids = {"imageIds": list(images)} if images else {}
        details: list[dict[str, Any]] = self.ecr.describe_images(repositoryName=self.name, **ids, **more)["imageDetails"]
        return details

    def move(self, tag: str, storage_class: str) -> str:
        """Archive or restore; the status afterwards."""
        status: str = self.ecr.update_image_storage_class(
            repositoryName=self.name, imageId={"imageTag": tag}, targetStorageClass=storage_class
        )["imageStatus"]
        return status


ANY = {"filter": {"imageStatus": "ANY"}}


def refused(call: Any) -> tuple[str, str]:
    """Code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response["Error"]
    return answer["Code"], answer["Message"]


def test_an_image_is_described_by_tag_and_by_digest(lab: Lab, unique: str) -> None:
    repository = Repository(lab, unique)
    first = repository.push("one", "1", imageManifestMediaType=INDEX)
    second = repository.push("two", "2")
    repository.push("one", "stable")
    found = repository.describe({"imageTag": "1"}, {"imageTag": "2"}, {"imageDigest": first}, {"imageTag": "stable"}, **ANY)
    by_digest = {image["imageDigest"]: image for image in found}
    assert len(found) == 2, "what is asked for twice is answered once"
    assert sorted(by_digest[first]["imageTags"]) == ["1", "stable"]
    assert by_digest[first]["imageManifestMediaType"] == INDEX
    assert (by_digest[second]["imageStatus"], by_digest[second]["registryId"]) == ("ACTIVE", ACCOUNT)
    # A tag that is moved leaves its image behind.
    moved = repository.push("three", "2")
    assert [image["imageDigest"] for image in repository.describe({"imageTag": "2"})] == [moved]
    assert "imageTags" not in repository.describe({"imageDigest": second})[0]


def test_one_missing_image_ends_the_whole_call(lab: Lab, unique: str) -> None:
    repository = Repository(lab, unique)
    repository.push("one", "1")
    code, message = refused(lambda: repository.describe({"imageTag": "1"}, {"imageTag": "9"}, **ANY))
    assert code == "ImageNotFoundException"
    assert message == (
        f"The image with imageId {{imageDigest:'null', imageTag:'9'}} does not exist within the repository "
        f"with name '{unique}' in the registry with id '{ACCOUNT}'"
    )
    missing = lambda: repository.ecr.describe_images(repositoryName=f"{unique}-no")  # noqa: E731
    code, message = refused(missing)
    assert code == "RepositoryNotFoundException"
    assert message == f"The repository with name '{unique}-no' does not exist in the registry with id '{ACCOUNT}'"
    code, message = refused(lambda: repository.describe({"imageTag": "1"}, registryId="999999999999"))
    assert code == "AccessDeniedException"
    assert "because no resource-based policy allows the ecr:DescribeImages action" in message


def test_what_is_archived_looks_gone_to_whoever_does_not_ask_for_it(lab: Lab, unique: str) -> None:
    repository = Repository(lab, unique)
    repository.push("one", "1")
    assert repository.move("1", "ARCHIVE") == "ARCHIVED"
    assert refused(lambda: repository.describe({"imageTag": "1"}))[0] == "ImageNotFoundException"
    assert repository.describe() == []
    assert repository.describe({"imageTag": "1"}, **ANY)[0]["imageStatus"] == "ARCHIVED"
    assert repository.move("1", "STANDARD") == "ACTIVATING"
    assert repository.describe({"imageTag": "1"}, **ANY)[0]["imageStatus"] == "ACTIVATING"
    wait_for(lambda: repository.describe(), what="the restored image")


def test_an_image_goes_with_its_last_tag(lab: Lab, unique: str) -> None:
    repository = Repository(lab, unique)
    digest = repository.push("one", "1")
    repository.push("one", "2")
    delete = repository.ecr.batch_delete_image
    assert delete(repositoryName=unique, imageIds=[{"imageTag": "1"}])["imageIds"] == [{"imageTag": "1", "imageDigest": digest}]
    assert repository.describe({"imageDigest": digest})[0]["imageTags"] == ["2"]
    delete(repositoryName=unique, imageIds=[{"imageTag": "2"}])
    assert refused(lambda: repository.describe({"imageDigest": digest}, **ANY))[0] == "ImageNotFoundException"
    failures = delete(repositoryName=unique, imageIds=[{"imageTag": "2"}])["failures"]
    assert [failure["failureCode"] for failure in failures] == ["ImageNotFound"]


def test_rules_of_pull_through_caches(lab: Lab, unique: str) -> None:
    ecr = lab.client("ecr")
    prefix = f"m{abs(hash(unique)) % 10**8}"
    ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="public.ecr.aws")
    rules = ecr.describe_pull_through_cache_rules(registryId=ACCOUNT, maxResults=1000)["pullThroughCacheRules"]
    assert prefix in [rule["ecrRepositoryPrefix"] for rule in rules]
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
    gone = lambda: ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix])  # noqa: E731
    assert refused(gone)[0] == "PullThroughCacheRuleNotFoundException"


def test_a_role_sees_the_repositories_that_it_may_see(lab: Lab, unique: str) -> None:
    Repository(lab, unique)
    Repository(lab, f"{unique}-2")
    arn = f"arn:aws:ecr:*:*:repository/{unique}"
    role = create_role(lab, unique, allow("ecr:DescribeImages", resource=arn))
    assert code_of(lab, role, "ecr", "describe_images", {"repositoryName": unique}) is None
    assert code_of(lab, role, "ecr", "describe_images", {"repositoryName": f"{unique}-2"}) in DENIED
    assert code_of(lab, role, "ecr", "describe_pull_through_cache_rules", {}) in DENIED
    # What the model does not allow never reaches the service.
    short = code_of(lab, role, "ecr", "describe_images", {"repositoryName": unique, "registryId": "1"})
    assert short == "InvalidParameterException"


@pytest.fixture(scope="module")
def demo(lab: Lab) -> Repository:
    """The repository of the image that a command stands for."""
    return Repository(lab, "demo")


def containers(cluster: Cluster) -> list[dict[str, Any]]:
    """The containers of the running tasks."""
    tasks = cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"]
    described = cluster.ecs.describe_tasks(cluster=cluster.name, tasks=tasks)["tasks"] if tasks else []
    return [task["containers"][0] for task in described]


def test_tasks_run_what_their_tag_stood_for_when_their_deployment_began(lab: Lab, demo: Repository, unique: str) -> None:
    cluster = Cluster(lab, unique)
    digest = demo.push("one", unique)
    cluster.create(cluster.definition(f"{REGISTRY}/demo:{unique}"))
    cluster.settled()
    assert [container["imageDigest"] for container in containers(cluster)] == [digest]
    # The tag is moved: tasks of the same deployment start with the image that it has found.
    other = demo.push("two", unique)
    cluster.update(desiredCount=2)
    cluster.settled()
    assert {container["imageDigest"] for container in containers(cluster)} == {digest}
    cluster.update(forceNewDeployment=True)
    cluster.settled()
    assert {container["imageDigest"] for container in containers(cluster)} == {other}


def test_a_task_whose_image_is_gone_or_archived_does_not_start(lab: Lab, demo: Repository, unique: str) -> None:
    cluster = Cluster(lab, unique)
    demo.push("three", unique)
    demo.move(unique, "ARCHIVE")
    for tag in (unique, f"{unique}-no"):
        started = cluster.ecs.run_task(
            cluster=unique,
            taskDefinition=cluster.definition(f"{REGISTRY}/demo:{tag}"),
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        )["tasks"][0]["taskArn"]

        def reason(task: str = started) -> str | None:
            described = cluster.ecs.describe_tasks(cluster=unique, tasks=[task])["tasks"][0]
            stopped: str | None = described.get("stoppedReason")
            return stopped

        assert "CannotPullContainerError" in wait_for(reason, seconds=30, what="the end of the task")
