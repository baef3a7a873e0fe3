"""Which rule takes a request and which group it is forwarded to. Pure, compiled for speed."""

from __future__ import annotations

import fnmatch
import hashlib
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from local_aws.elbv2_actions import forward_groups

COOKIE = "AWSALBTG"
CROSS_ORIGIN_COOKIE = "AWSALBTGCORS"

Matcher = Callable[["RequestHead"], bool]
Rewrite = Callable[[str], str]


@dataclass
class RequestHead:
    """The first line and the headers of a request; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The path without the query string."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded query parameters."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


@dataclass(frozen=True)
class ForwardGroups:
    """A compiled forward action."""

    arns: tuple[str, ...]
    weights: tuple[int, ...]
    sticky_seconds: int
    """0: no stickiness."""

    def choose(self, cookie_header: str) -> tuple[str | None, bool]:
        """Pick a group: by cookie, else by weight. The flag says that a cookie decided.

        A cookie outranks the weights, even weight 0; a cookie for a group that the action no longer
        names is ignored.
        """
        if self.sticky_seconds and COOKIE in cookie_header:
            value = _cookie_value(cookie_header)
            for arn in self.arns:
                if cookie_for(arn) == value:
                    return arn, True
        if not any(self.weights):
            return None, False
        return random.choices(self.arns, self.weights)[0], False

    def set_cookie(self, arn: str) -> list[str]:
        """The Set-Cookie headers of a response from this group."""
        if not self.sticky_seconds:
            return []
        expires = formatdate(time.time() + self.sticky_seconds, usegmt=True)
        value = cookie_for(arn)
        return [
            f"{COOKIE}={value}; Expires={expires}; Path=/",
            f"{CROSS_ORIGIN_COOKIE}={value}; Expires={expires}; Path=/; SameSite=None; Secure",
        ]


@dataclass(frozen=True)
class CompiledRule:
    """One rule: all matchers must agree."""

    arn: str
    priority: float
    matchers: tuple[Matcher, ...]
    action: Mapping[str, Any]
    forward: ForwardGroups | None
    rewrite_host: Rewrite
    rewrite_url: Rewrite


def cookie_for(arn: str) -> str:
    """The opaque value that stands for a group."""
    return hashlib.sha256(arn.encode()).hexdigest()[:32]


def compile_rules(rules: Sequence[Mapping[str, Any]]) -> tuple[CompiledRule, ...]:
    """Compile the rules of one listener in the order in which they are tried."""
    return in_order(_compile(rule) for rule in rules)


def in_order(rules: Iterable[CompiledRule]) -> tuple[CompiledRule, ...]:
    """Rules in the order in which they are tried, the default rule last."""
    return tuple(sorted(rules, key=lambda rule: rule.priority))


def _compile(rule: Mapping[str, Any]) -> CompiledRule:
    # Authentication actions come before the terminal one and let every request pass: there is no
    # identity provider in a lab.
    action = rule["Actions"][-1]
    forward = None
    groups = forward_groups(action)
    if groups:
        stickiness = action["ForwardConfig"].get("TargetGroupStickinessConfig") or {}
        forward = ForwardGroups(
            arns=tuple(group["TargetGroupArn"] for group in groups),
            weights=tuple(int(group.get("Weight", 1)) for group in groups),
            sticky_seconds=int(stickiness.get("DurationSeconds", 0)) if stickiness.get("Enabled") else 0,
        )
    matchers = tuple(_matcher(condition) for condition in rule["Conditions"])
    transforms = {transform["Type"]: transform for transform in rule.get("Transforms") or []}
    rewrite_host = _rewrite(transforms.get("host-header-rewrite", {}).get("HostHeaderRewriteConfig"))
    rewrite_url = _rewrite(transforms.get("url-rewrite", {}).get("UrlRewriteConfig"))
    return CompiledRule(
        arn=rule["RuleArn"],
        priority=float("inf") if rule["Priority"] == "default" else int(rule["Priority"]),
        matchers=matchers,
        action=action,
        forward=forward,
        rewrite_host=rewrite_host,
        rewrite_url=rewrite_url,
    )


def _rewrite(config: Mapping[str, Any] | None) -> Rewrite:
    """What a transform makes of a host name or URL: the first match is replaced, ``$1`` is a group."""
    if config is None:
        return lambda text: text
    rewrite = config["Rewrites"][0]
    pattern = re.compile(rewrite["Regex"])
    replacement = re.sub(r"\$(\d)", r"\\g<\1>", rewrite["Replace"].replace("\\", "\\\\"))
    return lambda text: pattern.sub(replacement, text, count=1)


def _pattern(values: Sequence[str], ignore_case: bool) -> re.Pattern[str]:
    flags = re.IGNORECASE if ignore_case else 0
    return re.compile("|".join(fnmatch.translate(value.replace("[", "[[]")) for value in values), flags)


def _matcher(condition: Mapping[str, Any]) -> Matcher:
    field = condition["Field"]
    if field == "path-pattern":
        paths = _pattern(condition["PathPatternConfig"]["Values"], ignore_case=False)
        return lambda request: paths.match(request.path) is not None
    if field == "host-header":
        hosts = _pattern(condition["HostHeaderConfig"]["Values"], ignore_case=True)
        return lambda request: hosts.match(request.headers.get("host", "").partition(":")[0]) is not None
    if field == "http-header":
        config = condition["HttpHeaderConfig"]
        name = config["HttpHeaderName"].lower()
        headers = _pattern(config["Values"], ignore_case=True)
        return lambda request: name in request.headers and headers.match(request.headers[name]) is not None
    if field == "http-request-method":
        methods = frozenset(condition["HttpRequestMethodConfig"]["Values"])
        return lambda request: request.method in methods
    if field == "query-string":
        pairs = [
            (_pattern([pair["Key"]], True) if pair.get("Key") else None, _pattern([pair["Value"]], True))
            for pair in condition["QueryStringConfig"]["Values"]
        ]
        return lambda request: any(
            (key is None or key.match(name)) and value.match(text)
            for name, text in request.query
            for key, value in pairs
        )
    # Every client of a lab has the same source address.
    return lambda _request: True


def _cookie_value(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
