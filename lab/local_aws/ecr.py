"""ECR: whether an image can be pulled, as AWS says it. Repositories and pushes are ministack's.

What is another here:

- DescribeImages names every image that is missing as AWS does: the first one ends the call with
  ImageNotFoundException. It shows archived images only where ``imageStatus`` asks for them, and other accounts'
  repositories to nobody.
- UpdateImageStorageClass archives and restores. ministack has neither. A restored image stays ``ACTIVATING`` for
  ``RESTORING_SECONDS`` instead of up to 20 minutes.
- BatchDeleteImage by a tag takes the tag; an image goes with its last one.
- Pull-through cache rules are kept and answered. Nothing is upstream: what a cache does not have cannot be pulled.

ECS pulls here (``pull``): an image of a private repository that is gone or archived does not start.

Deviations: a call answers all images at once, without pages; there are no image sizes worth the name, no scans and no
lifecycle policies that do anything.

ministack's service is imported when somebody first asks for it, so that a lab without images starts as fast as before.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region, request_scope

from local_aws.aws_protocol import JSON, Document, HttpResponse, ServiceError, call
from local_aws.replacing import replace_entry
from local_aws.settings import Settings

SERVICE = "ecr"
RESTORING_SECONDS = 1.0
PRIVATE_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z.]+/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
ACTIVE, ARCHIVED, ACTIVATING = "ACTIVE", "ARCHIVED", "ACTIVATING"
_rules: dict[tuple[str, str, str], Document] = {}
"""Pull-through cache rules by account, Region and prefix."""


class CannotPull(Exception):
    """An image cannot be pulled; the message is a task's stoppedReason."""


def _store() -> ModuleType:
    """ministack's ECR, which has repositories and what was pushed."""
    module: ModuleType = app._get_module(SERVICE)
    return module


# ---- images ----------------------------------------------------------------------------------------


def _repository(request: Document, permission: str) -> tuple[str, list[Document]]:
    """A repository's name and its images, if the caller may see it."""
    name, own = request["repositoryName"], get_account_id()
    registry = request.get("registryId", own)
    if registry != own:
        # Nobody here has another account, whose repository could have a policy.
        arn = f"arn:aws:ecr:{get_region()}:{registry}:repository/{name}"
        message = f"is not authorized to perform: {permission} on resource: {arn} because no resource-based policy allows"
        raise ServiceError("AccessDeniedException", f"User: the caller {message} the {permission} action")
    if name not in _store()._repositories:
        message = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
        raise ServiceError("RepositoryNotFoundException", message)
    return name, _store()._images[name]


def _status(image: Document) -> str:
    if image.get("storageClass") == "ARCHIVE":
        return ARCHIVED
    return ACTIVATING if time.time() < image.get("activeFrom", 0) else ACTIVE


def _named(images: list[Document], wanted: Document) -> Document | None:
    """The image that an id means: with a tag and a digest, the one that has both."""
    tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
    for image in images:
        if (digest is None or image["imageDigest"] == digest) and (tag is None or tag in image["imageTags"]):
            return image
    return None


def _missing(name: str, wanted: Document) -> ServiceError:
    digest, tag = wanted.get("imageDigest") or "null", wanted.get("imageTag") or "null"
    return ServiceError(
        "ImageNotFoundException",
        f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository "
        f"with name '{name}' in the registry with id '{get_account_id()}'",
    )


def _describe_images(request: Document) -> Document:
    name, images = _repository(request, "ecr:DescribeImages")
    wanted_status = request.get("filter", {}).get("imageStatus", ACTIVE)
    shown = [image for image in images if wanted_status in ("ANY", _status(image))]
    if "imageIds" in request:
        found = []
        for wanted in request["imageIds"]:
            image = _named(shown, wanted)
            if image is None:
                raise _missing(name, wanted)
            if image not in found:
                found.append(image)
        # No order is promised.
        shown = found[::-1]
    return {"imageDetails": [_detail(name, image) for image in shown]}


def _detail(name: str, image: Document) -> Document:
    detail = {
        "registryId": get_account_id(),
        "repositoryName": name,
        "imageDigest": image["imageDigest"],
        "imageSizeInBytes": len(image["imageManifest"]),
        "imagePushedAt": image["imagePushedAt"],
        "imageManifestMediaType": image["imageManifestMediaType"],
        "imageStatus": _status(image),
    }
    return detail | ({"imageTags": image["imageTags"]} if image["imageTags"] else {})


def _update_image_storage_class(request: Document) -> Document:
    name, images = _repository(request, "ecr:UpdateImageStorageClass")
    image = _named(images, request["imageId"])
    if image is None:
        raise _missing(name, request["imageId"])
    if image.get("storageClass") == "ARCHIVE" and request["targetStorageClass"] == "STANDARD":
        image["activeFrom"] = time.time() + RESTORING_SECONDS
    image["storageClass"] = request["targetStorageClass"]
    return {
        "registryId": get_account_id(),
        "repositoryName": name,
        "imageId": request["imageId"],
        "imageStatus": _status(image),
    }


def _batch_delete_image(request: Document) -> Document:
    _, images = _repository(request, "ecr:BatchDeleteImage")
    deleted, failures = [], []
    for wanted in request["imageIds"]:
        image = _named(images, wanted)
        if image is None:
            failure = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            failures.append({"imageId": wanted, **failure})
            continue
        if "imageDigest" not in wanted:
            image["imageTags"].remove(wanted["imageTag"])
        if "imageDigest" in wanted or not image["imageTags"]:
            images.remove(image)
        deleted.append({**wanted, "imageDigest": image["imageDigest"]})
    return {"imageIds": deleted, "failures": failures}


def pull(reference: str) -> str | None:
    """The digest of an image that is pulled from a private repository; None: it is elsewhere."""
    match = PRIVATE_IMAGE.fullmatch(reference)
    if match is None:
        return None
    wanted = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    with request_scope(match["account"], match["region"]):
        image = _named(_store()._images.get(match["repository"], []), wanted)
        if image is None or _status(image) != ACTIVE:
            raise CannotPull(
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
                f"{reference}: {reference}: not found"
            )
        return str(image["imageDigest"])


# ---- pull-through caches ---------------------------------------------------------------------------


def _rule_key(request: Document, prefix: str) -> tuple[str, str, str]:
    return request.get("registryId", get_account_id()), get_region(), prefix


def _create_pull_through_cache_rule(request: Document) -> Document:
    prefix = request["ecrRepositoryPrefix"]
    rule = {
        "ecrRepositoryPrefix": prefix,
        "upstreamRegistryUrl": request["upstreamRegistryUrl"],
        "createdAt": time.time(),
        "registryId": get_account_id(),
    }
    _rules[_rule_key(request, prefix)] = rule
    return rule


def _delete_pull_through_cache_rule(request: Document) -> Document:
    prefix = request["ecrRepositoryPrefix"]
    rule = _rules.pop(_rule_key(request, prefix), None)
    if rule is None:
        raise _no_rule(prefix)
    return rule


def _describe_pull_through_cache_rules(request: Document) -> Document:
    own = _rule_key(request, "")[:2]
    rules = {prefix: rule for (account, region, prefix), rule in _rules.items() if (account, region) == own}
    prefixes = request.get("ecrRepositoryPrefixes", list(rules))
    for prefix in prefixes:
        if prefix not in rules:
            raise _no_rule(prefix)
    return {"pullThroughCacheRules": [rules[prefix] for prefix in prefixes]}


def _no_rule(prefix: str) -> ServiceError:
    return ServiceError(
        "PullThroughCacheRuleNotFoundException",
        f"The pull through cache rule with prefix '{prefix}' does not exist in the registry with id '{get_account_id()}'",
    )


OPERATIONS: Mapping[str, Callable[[Document], Document]] = {
    "BatchDeleteImage": _batch_delete_image,
    "CreatePullThroughCacheRule": _create_pull_through_cache_rule,
    "DeletePullThroughCacheRule": _delete_pull_through_cache_rule,
    "DescribeImages": _describe_images,
    "DescribePullThroughCacheRules": _describe_pull_through_cache_rules,
    "UpdateImageStorageClass": _update_image_storage_class,
}


def install(settings: Settings) -> None:
    """Answer these operations here, and the others where they were."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any) -> HttpResponse:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        operation = OPERATIONS.get(name)
        if operation is None:
            answer: HttpResponse = await original(method, path, headers, body, query_params)
            return answer
        return call(SERVICE, name, operation, JSON, json.loads(body or b"{}"))

    expects = ("method", "path", "headers", "body", "query_params")
    original = replace_entry(app.SERVICE_HANDLERS, "app.SERVICE_HANDLERS", SERVICE, handle, expects=expects)
