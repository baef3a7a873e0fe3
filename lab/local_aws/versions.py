"""Refuse to start on other versions than those whose private functions are replaced here."""

from __future__ import annotations

from importlib import metadata

PINNED = {
    "aws-sam-translator": "1.115.0",
    "botocore": "1.43.106",
    "cbor2": "6.2.1",
    "ministack": "1.5.33",
    "moto": "5.2.5",
    "policy_sentry": "0.15.2",
}


class VersionError(RuntimeError):
    """A package is missing or has another version than the pinned one."""


def check() -> None:
    """Raise a ``VersionError`` that names every package that differs, in one line."""
    wrong = []
    for package, expected in PINNED.items():
        try:
            found = metadata.version(package)
        except metadata.PackageNotFoundError:
            found = "not installed"
        if found != expected:
            wrong.append(f"{package} {expected} is needed, found: {found}")
    if wrong:
        raise VersionError("; ".join(wrong) + " (install lab/local_aws/requirements.txt)")
