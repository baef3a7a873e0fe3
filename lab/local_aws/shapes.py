"""Whether a document is what a service's model says it is.

Every shape of botocore's models becomes a function once, at its first use: what is checked on every call
must cost little. botocore's own validator knows no enums, no patterns and no maxima, and none of what a
service answers.

A document holds what the protocols decode to: mappings, lists, texts, numbers, booleans, bytes; a
timestamp is a ``datetime`` or a number.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape


@dataclass(frozen=True)
class Problem:
    """One place of a document that is not as it must be."""

    where: str
    what: str

    def below(self, parent: str) -> Problem:
        """The same problem, seen from one level higher."""
        joint = "" if not self.where or self.where.startswith("[") else "."
        return Problem(f"{parent}{joint}{self.where}", self.what)


Problems = tuple[Problem, ...]
Check = Callable[[Any], Problems]

FINE: Problems = ()
NUMBERS = frozenset({"integer", "long", "float", "double"})
# Numbers that JSON has no notation for.
NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
# Character classes of Java that Python's expressions lack; where they differ, Python's are the wider ones.
JAVA_CLASSES = (
    (r"\p{L}\p{Z}\p{N}", r"\w\s"),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\p{Print}", r"[\x20-\x7e]"),
    # Pairs of surrogates: Java writes the characters beyond 16 bits as two.
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
)


class Checks:
    """The checks of one service's shapes.

    With ``limits`` they are those of a request: how long and how large a value may be, and its pattern. An
    answer is held to names, types, required members and enums only. ``tagged`` is for CBOR: there a
    timestamp has a tag, and the decoders of the Rust and Go SDKs fail at a plain number.
    """

    def __init__(self, *, limits: bool, tagged: bool) -> None:
        self._limits = limits
        self._tagged = tagged
        self._made: dict[str, Check] = {}

    def of(self, shape: Shape) -> Check:
        """The check of a shape."""
        name = shape.name
        if name not in self._made:
            # A shape may contain itself (DynamoDB's AttributeValue): what it contains finds this one.
            self._made[name] = lambda value: self._made[name](value)
            self._made[name] = self._make(shape)
        return self._made[name]

    def _make(self, shape: Shape) -> Check:
        if isinstance(shape, StructureShape):
            return (lambda _: FINE) if shape.is_document_type else self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        if shape.type_name in NUMBERS:
            return self._number(shape)
        if shape.type_name == "boolean":
            return lambda value: FINE if isinstance(value, bool) else _wrong("a boolean", value)
        if shape.type_name == "timestamp":
            return _tagged_timestamp if self._tagged else _timestamp
        if shape.type_name == "blob":
            return self._blob(shape)
        return self._text(shape)

    def _structure(self, shape: StructureShape) -> Check:
        members = {name: self.of(member) for name, member in shape.members.items()}
        required = tuple(shape.required_members)
        union = bool(shape.is_tagged_union)

        def check(value: Any) -> Problems:
            if not isinstance(value, dict):
                return _wrong("a structure", value)
            found = FINE
            for name, item in value.items():
                member = members.get(name)
                if member is None:
                    found += (Problem(name, "there is no such member"),)
                elif item is not None:
                    problems = member(item)
                    if problems:
                        found += tuple(problem.below(name) for problem in problems)
            for name in required:
                if value.get(name) is None:
                    found += (Problem(name, "must not be null"),)
            if union and sum(item is not None for item in value.values()) != 1:
                found += (Problem("", "must have exactly one member"),)
            return found

        return check

    def _list(self, shape: ListShape) -> Check:
        member = self.of(shape.member)
        length = self._length(shape)

        def check(value: Any) -> Problems:
            if not isinstance(value, list):
                return _wrong("a list", value)
            found = length(len(value))
            for index, item in enumerate(value):
                problems = member(item)
                if problems:
                    found += tuple(problem.below(f"[{index}]") for problem in problems)
            return found

        return check

    def _map(self, shape: MapShape) -> Check:
        key, member = self.of(shape.key), self.of(shape.value)
        length = self._length(shape)

        def check(value: Any) -> Problems:
            if not isinstance(value, dict):
                return _wrong("a map", value)
            found = length(len(value))
            for name, item in value.items():
                problems = key(name) + member(item)
                if problems:
                    found += tuple(problem.below(f"[{name}]") for problem in problems)
            return found

        return check

    def _number(self, shape: Shape) -> Check:
        whole = shape.type_name in ("integer", "long")
        least, most = self._bounds(shape)

        def check(value: Any) -> Problems:
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                if not whole and isinstance(value, str) and value in NOT_FINITE:
                    return FINE
                return _wrong("a whole number" if whole else "a number", value)
            if least is not None and value < least:
                return (Problem("", f"must have value greater than or equal to {least}"),)
            if most is not None and value > most:
                return (Problem("", f"must have value less than or equal to {most}"),)
            return FINE

        return check

    def _text(self, shape: Shape) -> Check:
        allowed = frozenset(shape.enum) if isinstance(shape, StringShape) and shape.enum else None
        length = self._length(shape)
        pattern = _pattern(shape) if self._limits else None

        def check(value: Any) -> Problems:
            if not isinstance(value, str):
                return _wrong("a text", value)
            if allowed is not None and value not in allowed:
                known = _short(str(sorted(allowed)), 200)
                return (Problem("", f"{_short(repr(value), 80)} must satisfy enum value set: {known}"),)
            if pattern is not None and not pattern.fullmatch(value):
                return (Problem("", f"must satisfy regular expression pattern: {pattern.pattern}"),)
            return length(len(value))

        return check

    def _blob(self, shape: Shape) -> Check:
        length = self._length(shape)

        def check(value: Any) -> Problems:
            if isinstance(value, str):
                try:
                    value = base64.b64decode(value, validate=True)
                except binascii.Error:
                    return _wrong("base64", value)
            if not isinstance(value, bytes):
                return _wrong("bytes", value)
            return length(len(value))

        return check

    def _bounds(self, shape: Shape) -> tuple[Any, Any]:
        if not self._limits:
            return None, None
        return shape.metadata.get("min"), shape.metadata.get("max")

    def _length(self, shape: Shape) -> Callable[[int], Problems]:
        least, most = self._bounds(shape)

        def check(length: int) -> Problems:
            if least is not None and length < least:
                return (Problem("", f"must have length greater than or equal to {least}"),)
            if most is not None and length > most:
                return (Problem("", f"must have length less than or equal to {most}"),)
            return FINE

        return check


def _timestamp(value: Any) -> Problems:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return FINE if numeric or isinstance(value, datetime) else _wrong("a timestamp", value)


def _tagged_timestamp(value: Any) -> Problems:
    return FINE if isinstance(value, datetime) else _wrong("a timestamp with its tag", value)


def _wrong(expected: str, value: Any) -> Problems:
    return (Problem("", f"must be {expected}, not {_short(repr(value), 80)}"),)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _pattern(shape: Shape) -> re.Pattern[str] | None:
    """The pattern that the whole text must match: the services match as Java's ``matches`` does.

    With a search the pattern of Lambda's function names would refuse nothing, as most of it is optional;
    AWS refuses names with blanks by it.
    """
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        return None
    for java, python in JAVA_CLASSES:
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
