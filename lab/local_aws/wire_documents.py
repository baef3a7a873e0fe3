"""What calls and their answers say, decoded by the models without losing anything.

``aws_protocol`` decodes for the services of this package and leaves out what it does not know. Here
everything is kept, also what has no place in the model, so that it is seen (``shapes``): a member that the
model does not know keeps the name that it has on the wire, a text that is no number stays a text.
"""

from __future__ import annotations

import functools
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import cbor2
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from local_aws.calls import CBOR, HttpRequest

FORM = "x-www-form-urlencoded"
ENVELOPE = ("Action", "Version")
REST = frozenset({"rest-json", "rest-xml"})
# The places of a member outside the body, of a REST protocol.
ELSEWHERE = frozenset({"uri", "querystring", "header", "headers", "statusCode"})

NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})


class Undecodable(ValueError):
    """A body is not what its protocol says; the message says why."""


# ---- requests ------------------------------------------------------------------------------------


def request_document(model: ServiceModel, operation: OperationModel, http: HttpRequest) -> dict[str, Any]:
    """What a request asks for."""
    shape = operation.input_shape or NOTHING
    if model.metadata["protocol"] in REST:
        return _rest_request(operation, shape, http)
    kind = http.headers.get("content-type", "")
    if FORM in kind:
        return _members_of_form(shape, _form_tree(http))
    if CBOR in kind:
        return _decoded_cbor(http.body)
    return _decoded_json(http.body)


def _form_tree(http: HttpRequest) -> dict[str, Any]:
    """``A.member.1.B=x`` as ``{"A": {"member": {"1": {"B": "x"}}}}``."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(http.body.decode("utf-8", "replace"), keep_blank_values=True):
        if name in ENVELOPE:
            continue
        *parents, last = name.split(".")
        node = tree
        for part in parents:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                child = node[part] = {}
            node = child
        node[last] = value
    return tree


def _members_of_form(shape: StructureShape, node: Mapping[str, Any]) -> dict[str, Any]:
    known = _names_on_the_wire(shape)
    document = {}
    for key, item in node.items():
        name, member = known.get(key, (key, None))
        document[name] = item if member is None else _from_form(member, item)
    return document


def _from_form(shape: Shape, node: Any) -> Any:
    if isinstance(shape, StructureShape):
        return _members_of_form(shape, node) if isinstance(node, dict) else node
    if isinstance(shape, ListShape):
        if node == "":
            return []
        item = shape.member.serialization.get("name", "member")
        return [_from_form(shape.member, part) for part in _numbered(node, item)]
    if isinstance(shape, MapShape):
        key = shape.key.serialization.get("name", "key")
        value = shape.value.serialization.get("name", "value")
        entries = [entry if isinstance(entry, dict) else {} for entry in _numbered(node, "entry")]
        return {str(entry.get(key)): _from_form(shape.value, entry.get(value)) for entry in entries}
    return _scalar(shape, node) if isinstance(node, str) else node


def _numbered(node: Any, name: str) -> list[Any]:
    if not isinstance(node, dict) or set(node) != {name} or not isinstance(node[name], dict):
        raise Undecodable(f"a list of {name}.1, {name}.2 and so on is needed, not {node!r}")
    items = node[name]
    if not all(number.isdigit() for number in items):
        raise Undecodable(f"{name} must be followed by numbers, not {sorted(items)}")
    return [items[number] for number in sorted(items, key=int)]


@functools.cache
def _routes(model: ServiceModel) -> list[tuple[str, re.Pattern[str], list[str], OperationModel]]:
    """The operations of a REST service by method and path, those with the most fixed parts first."""
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = operation.http["requestUri"].split("?")[0].rstrip("/")
        parts = re.split(r"\{([^}+]+)\+?\}", path)
        expression = "".join("([^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        routes.append((operation.http["method"], re.compile(expression + "/?"), parts[1::2], operation))
    return sorted(routes, key=lambda route: len(route[2]))


@functools.lru_cache(maxsize=4096)
def rest_operation(model: ServiceModel, method: str, path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """The operation that a REST request is, and what its path says."""
    for verb, expression, labels, operation in _routes(model):
        found = expression.fullmatch(path) if verb == method else None
        if found is not None:
            return operation, dict(zip(labels, map(unquote, found.groups()), strict=True))
    return None


@functools.cache
def _path(operation: OperationModel) -> tuple[re.Pattern[str], list[str]]:
    """The path of one operation; a label with a plus has slashes in it."""
    parts = re.split(r"\{([^}]+)\}", operation.http["requestUri"].split("?")[0])
    expression = "".join(
        ("(.+)" if part.endswith("+") else "([^/]+)") if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )
    return re.compile(expression), [part.rstrip("+") for part in parts[1::2]]


def _labels(operation: OperationModel, http: HttpRequest) -> dict[str, str]:
    """What the path of a request says. Operations of S3 share theirs, and are told apart by more than that."""
    if operation.service_model.metadata["protocol"] == "rest-xml":
        expression, labels = _path(operation)
        found = expression.fullmatch(http.path)
        return dict(zip(labels, map(unquote, found.groups()), strict=True)) if found is not None else {}
    route = rest_operation(operation.service_model, http.method, http.path)
    return route[1] if route is not None else {}


def _rest_request(operation: OperationModel, shape: StructureShape, http: HttpRequest) -> dict[str, Any]:
    labels = _labels(operation, http)
    document: dict[str, Any] = {}
    query = {name: values[0] for name, values in http.query.items()}
    for name, member in shape.members.items():
        place = member.serialization.get("location")
        key = member.serialization.get("name", name)
        found = None
        if place == "uri":
            found = labels.get(key)
        elif place == "querystring":
            found = query.pop(key, None)
        elif place == "header":
            found = http.headers.get(key.lower())
        if found is not None:
            document[name] = _scalar(member, found)
    document.update(query)
    if "payload" in shape.serialization:
        # An event or an object, for which the model has nothing but bytes.
        return document
    if operation.service_model.metadata["protocol"] == "rest-xml":
        raise Undecodable("of S3 only what puts and gets bytes can be checked")
    return {**document, **_named_by_model(shape, _decoded_json(http.body))}


# ---- answers -------------------------------------------------------------------------------------


def answer_document(
    model: ServiceModel, operation: OperationModel, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """What the answer to a call says."""
    shape = operation.output_shape or NOTHING
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if model.metadata["protocol"] == "rest-xml":
        # What puts an object is answered by headers alone.
        return {}
    if "xml" in kind:
        return _xml_answer(operation, shape, body)
    if "cbor" in kind:
        return _decoded_cbor(body)
    if model.metadata["protocol"] != "rest-json":
        return _decoded_json(body)
    if "payload" in shape.serialization:
        return {}
    return _named_by_model(shape, _decoded_json(body))


def _xml_answer(operation: OperationModel, shape: StructureShape, body: bytes) -> dict[str, Any]:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Undecodable(f"no XML: {error}") from error
    if _tag(root) != f"{operation.name}Response":
        raise Undecodable(f"{operation.name}Response is needed, not {_tag(root)}")
    wrapper = shape.serialization.get("resultWrapper")
    document: dict[str, Any] = {}
    for child in root:
        if _tag(child) == wrapper:
            document.update(_from_xml(shape, child))
        elif _tag(child) != "ResponseMetadata":
            document[_tag(child)] = child.text
    return document


def _from_xml(shape: Shape, element: ElementTree.Element) -> Any:
    if isinstance(shape, StructureShape):
        known = _names_on_the_wire(shape)
        document = {}
        for child in element:
            name, member = known.get(_tag(child), (_tag(child), None))
            document[name] = child.text if member is None else _from_xml(member, child)
        return document
    if isinstance(shape, ListShape):
        item = shape.member.serialization.get("name", "member")
        if any(_tag(child) != item for child in element):
            raise Undecodable(f"a list of {item} is needed, not of {sorted({_tag(child) for child in element})}")
        return [_from_xml(shape.member, child) for child in element]
    if isinstance(shape, MapShape):
        key = shape.key.serialization.get("name", "key")
        value = shape.value.serialization.get("name", "value")
        pairs = [{_tag(part): part for part in entry} for entry in element]
        if any(set(pair) != {key, value} for pair in pairs):
            raise Undecodable(f"a map of {key} and {value} is needed, not {[sorted(pair) for pair in pairs]}")
        return {pair[key].text or "": _from_xml(shape.value, pair[value]) for pair in pairs}
    return _scalar(shape, element.text or "")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


# ---- both ----------------------------------------------------------------------------------------


@functools.cache
def _names_on_the_wire(shape: StructureShape) -> dict[str, tuple[str, Shape]]:
    """The members of a structure by the names that they have in a form or in XML."""
    return {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}


def _named_by_model(shape: StructureShape, content: dict[str, Any]) -> dict[str, Any]:
    """A REST body with the model's names at its top."""
    known = {
        wire: name
        for wire, (name, member) in _names_on_the_wire(shape).items()
        if member.serialization.get("location") not in ELSEWHERE
    }
    return {known.get(key, key): value for key, value in content.items()}


def _scalar(shape: Shape, text: str) -> Any:
    """A text as what its shape says, or the text itself."""
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "timestamp":
            return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _decoded_json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else {}
    except ValueError as error:
        raise Undecodable(f"no JSON: {error}") from error
    return _structure(content)


def _decoded_cbor(body: bytes) -> dict[str, Any]:
    try:
        content = cbor2.loads(body) if body else {}
    except cbor2.CBORDecodeError as error:
        raise Undecodable(f"no CBOR: {error}") from error
    return _structure(content)


def _structure(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise Undecodable(f"a structure is needed, not {content!r}")
    return content
