"""Replace private functions of ministack and moto without ever doing so silently wrong.

Both packages are pinned, but a pin can be moved. Every replacement therefore names the parameters it
expects the original to have; a missing or changed original stops the server at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

AnyFunction = Callable[..., Any]


class ReplacementError(RuntimeError):
    """An original is missing or does not look as it did in the pinned version."""


def _check(label: str, original: object, expects: Sequence[str]) -> AnyFunction:
    if not callable(original):
        raise ReplacementError(f"cannot replace {label}: not a function but {original!r}")
    found = tuple(inspect.signature(original).parameters)
    if found != tuple(expects):
        raise ReplacementError(f"cannot replace {label}: its parameters are {found}, expected {tuple(expects)}")
    return original


def replace(
    owner: Any, name: str, replacement: AnyFunction | staticmethod[..., Any], *, expects: Sequence[str]
) -> AnyFunction:
    """Set ``owner.name`` (a module's function or a class's method) and return the original.

    ``expects`` lists the names of the original's parameters (with ``self`` for a method).
    """
    label = f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', owner.__name__)}.{name}".lstrip(".")
    if name not in vars(owner):
        raise ReplacementError(f"cannot replace {label}: there is no such function")
    original = _check(label, getattr(owner, name), expects)
    setattr(owner, name, replacement)
    return original


def replace_entry(
    table: MutableMapping[str, Any], label: str, key: str, replacement: AnyFunction, *, expects: Sequence[str]
) -> AnyFunction:
    """Replace one entry of a dispatch table (action name to function) and return the original."""
    if key not in table:
        raise ReplacementError(f"cannot replace {label}[{key!r}]: there is no such entry")
    original = _check(f"{label}[{key!r}]", table[key], expects)
    table[key] = replacement
    return original


def add_entry(table: MutableMapping[str, Any], label: str, key: str, addition: Any) -> None:
    """Add an entry to a table that has none for it."""
    if key in table:
        raise ReplacementError(f"cannot add {label}[{key!r}]: there is such an entry by now")
    table[key] = addition


def set_value(owner: Any, name: str, value: Any) -> Any:
    """Set an existing module constant or class attribute and return what it was."""
    if not hasattr(owner, name):
        raise ReplacementError(f"cannot set {owner!r}.{name}: there is no such attribute")
    original = getattr(owner, name)
    setattr(owner, name, value)
    return original
