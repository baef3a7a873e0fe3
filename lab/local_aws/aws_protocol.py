"""AWS wire protocols, driven by the service models that botocore ships.

ministack writes every response by hand, once per protocol, and so drops members that it does not
know (``ForwardConfig``, ``Metrics``, ``StateTransitionedTimestamp`` and more). The replacements of
this package are written as ``dict -> dict`` and rendered from the official model instead, which
means that a Rust or Python client finds every member where its own model says it is.

Timestamps are epoch seconds (float) inside this package.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import cbor2
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

Document = dict[str, Any]
HttpResponse = tuple[int, dict[str, str], bytes]
Handler = Callable[[Document], Document]

QUERY = "query"
JSON = "json"
CBOR = "cbor"


class ServiceError(Exception):
    """An error that the service answers to its caller, as AWS words it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Load the official model of a service, for example ``elbv2``."""
    return botocore.session.Session().get_service_model(service)


def call(
    service: str, operation: str, handler: Handler, protocol: str, request: Mapping[str, Any]
) -> HttpResponse:
    """Parse a request, run its handler and render the answer or the error.

    ``request`` holds the flat form parameters for the query protocol, else the decoded body.
    """
    model = service_model(service)
    operation_model = model.operation_model(operation)
    try:
        document = parse_request(operation_model, protocol, request)
        return render_result(model, operation_model, protocol, handler(document))
    except ServiceError as error:
        return render_error(model, protocol, error)


def parse_request(
    operation: OperationModel, protocol: str, request: Mapping[str, Any]
) -> Document:
    """Decode a request into the document that its model describes."""
    shape = operation.input_shape
    if shape is None:
        return {}
    if protocol == QUERY:
        flat = {key: _first(value) for key, value in request.items()}
        parsed = _parse_query(shape, flat, "")
        return parsed if isinstance(parsed, dict) else {}
    coerced = coerce(shape, dict(request))
    return coerced if isinstance(coerced, dict) else {}


def coerce(shape: Shape, value: Any) -> Any:
    """Bring a decoded value to the types of its shape.

    Templates write numbers and booleans as text, clients send timestamps in several notations.
    """
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        if not isinstance(value, Mapping):
            raise ServiceError("ValidationError", f"{shape.name} must be an object")
        members = shape.members
        return {
            name: coerce(members[name], item)
            for name, item in value.items()
            if name in members and item is not None
        }
    if isinstance(shape, ListShape):
        items = value if isinstance(value, list) else [value]
        return [coerce(shape.member, item) for item in items]
    if shape.type_name == "timestamp":
        return parse_timestamp(value)
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("double", "float"):
        return float(value)
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if shape.type_name == "string":
        return value if isinstance(value, str) else str(value)
    return value


def parse_timestamp(value: Any) -> float:
    """Read a timestamp as epoch seconds, whatever the protocol made of it."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.timestamp()
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, cbor2.CBORTag):
        return float(value.value)
    text = str(value)
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def render_result(
    model: ServiceModel, operation: OperationModel, protocol: str, result: Document
) -> HttpResponse:
    """Encode the result of an operation."""
    shape = operation.output_shape
    if protocol == CBOR:
        document = _render_cbor(shape, result) if shape else {}
        return 200, _cbor_headers(), cbor2.dumps(document)
    if protocol == JSON:
        document = _render_json(shape, result) if shape else {}
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(document).encode()
    name = operation.name
    if shape is None:
        inner = ""
    else:
        wrapper = str(shape.serialization.get("resultWrapper", f"{name}Result"))
        inner = f"<{wrapper}>{_render_xml(shape, result)}</{wrapper}>"
    namespace = model.metadata["xmlNamespace"]
    body = (
        f'<{name}Response xmlns="{namespace}">{inner}<ResponseMetadata>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{name}Response>"
    )
    return 200, {"Content-Type": "text/xml"}, body.encode()


def render_error(model: ServiceModel, protocol: str, error: ServiceError) -> HttpResponse:
    """Encode an error in the shape that SDKs map to their exceptions."""
    document = {"__type": error.code, "message": error.message}
    if protocol == CBOR:
        return error.status, _cbor_headers(), cbor2.dumps(document)
    if protocol == JSON:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-errortype": error.code,
        }
        return error.status, headers, json.dumps(document).encode()
    fault = "Sender" if error.status < 500 else "Receiver"
    body = (
        f'<ErrorResponse xmlns="{model.metadata["xmlNamespace"]}"><Error><Type>{fault}</Type>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return error.status, {"Content-Type": "text/xml"}, body.encode()


def _first(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) else str(value)


def _parse_query(shape: Shape, flat: Mapping[str, str], prefix: str) -> Any:
    """Rebuild a document from ``A.member.1.B=...`` parameters; None when nothing is there."""
    if isinstance(shape, StructureShape):
        dot = f"{prefix}." if prefix else ""
        if prefix and not any(key.startswith(dot) for key in flat):
            return None
        document: Document = {}
        for name, member in shape.members.items():
            value = _parse_query(member, flat, dot + member.serialization.get("name", name))
            if value is not None:
                document[name] = value
        return document
    if isinstance(shape, ListShape):
        if prefix in flat and not flat[prefix]:
            return []
        items = []
        number = 1
        while True:
            item = _parse_query(shape.member, flat, f"{prefix}.member.{number}")
            if item is None:
                break
            items.append(item)
            number += 1
        return items or None
    if isinstance(shape, MapShape):
        entries: Document = {}
        while f"{prefix}.entry.{len(entries) + 1}.key" in flat:
            entry = f"{prefix}.entry.{len(entries) + 1}"
            entries[flat[f"{entry}.key"]] = _parse_query(shape.value, flat, f"{entry}.value")
        return entries or None
    if prefix not in flat:
        return None
    return coerce(shape, flat[prefix])


def _iso(value: float) -> str:
    moment = datetime.fromtimestamp(value, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _render_xml(shape: Shape, value: Any) -> str:
    if isinstance(shape, StructureShape):
        parts = []
        for name, member in shape.members.items():
            if value.get(name) is not None:
                tag = member.serialization.get("name", name)
                parts.append(f"<{tag}>{_render_xml(member, value[name])}</{tag}>")
        return "".join(parts)
    if isinstance(shape, ListShape):
        return "".join(f"<member>{_render_xml(shape.member, item)}</member>" for item in value)
    if isinstance(shape, MapShape):
        return "".join(
            f"<entry><key>{escape(str(key))}</key><value>{_render_xml(shape.value, item)}</value></entry>"
            for key, item in value.items()
        )
    if shape.type_name == "timestamp":
        return _iso(value)
    if shape.type_name == "boolean":
        return "true" if value else "false"
    return escape(str(value))


def _render_json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            name: _render_json(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_render_json(shape.member, item) for item in value]
    if shape.type_name == "timestamp":
        return round(float(value), 3)
    return coerce(shape, value)


def _render_cbor(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            name: _render_cbor(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_render_cbor(shape.member, item) for item in value]
    if shape.type_name == "timestamp":
        # Tag 1 is what the typed decoders of the Rust and Go SDKs insist on.
        return cbor2.CBORTag(1, float(value))
    return coerce(shape, value)


def _cbor_headers() -> dict[str, str]:
    return {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
