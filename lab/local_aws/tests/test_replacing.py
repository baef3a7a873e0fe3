"""Replacing private functions: a moved or changed original stops the start, with its name."""

from __future__ import annotations

import types
from importlib import metadata

import pytest

from local_aws import versions
from local_aws.replacing import ReplacementError, add_entry, replace, replace_entry, set_value


def _original(data: int) -> int:
    return data


def _module() -> types.ModuleType:
    module = types.ModuleType("service")
    vars(module)["action"] = _original
    vars(module)["LIMIT"] = 1
    return module


def test_replace_returns_the_original() -> None:
    module = _module()
    assert replace(module, "action", lambda data: -data, expects=("data",)) is _original
    assert module.action(2) == -2


@pytest.mark.parametrize(("name", "expects"), [("gone", ("data",)), ("action", ("data", "more"))])
def test_a_changed_original_is_refused(name: str, expects: tuple[str, ...]) -> None:
    with pytest.raises(ReplacementError, match=f"service.{name}"):
        replace(_module(), name, _original, expects=expects)


def test_entries_and_values() -> None:
    table = {"Action": _original}
    assert replace_entry(table, "actions", "Action", lambda data: 0, expects=("data",)) is _original
    assert table["Action"](1) == 0
    with pytest.raises(ReplacementError, match="actions"):
        replace_entry(table, "actions", "Gone", _original, expects=("data",))
    add_entry(table, "actions", "New", _original)
    with pytest.raises(ReplacementError, match="New"):
        add_entry(table, "actions", "New", _original)
    module = _module()
    assert set_value(module, "LIMIT", 2) == 1
    with pytest.raises(ReplacementError, match="GONE"):
        set_value(module, "GONE", 2)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    versions.check()
    monkeypatch.setattr(metadata, "version", lambda package: "9.9.9" if package == "moto" else versions.PINNED[package])
    with pytest.raises(versions.VersionError, match="^moto 5.2.5 is needed, found: 9.9.9 "):
        versions.check()
