"""OpenAPI and AsyncAPI documents in the exchange's form, made from the pinned facts, to be altered by a
test."""

from typing import Any

from kalshi_platform.trading.exchange import coverage_facts as pinned
from kalshi_platform.trading.exchange.stream_errors import STREAM_ERRORS


def _schema(type_: str) -> dict[str, Any]:
    return {"type": type_}


def _object(fields: str) -> dict[str, Any]:
    pairs = [each.removesuffix("!").split(":") for each in fields.split()]
    return {"type": "object", "properties": {name: _schema(type_) for name, type_ in pairs}}


def openapi() -> dict[str, Any]:
    """Document that says what is pinned; one field stands behind a reference, one is nullable."""
    paths: dict[str, Any] = {}
    for call in pinned.ENDPOINTS:
        method, path = call.split()
        paths.setdefault(path, {})[method.lower()] = {"responses": {}}
    schemas: dict[str, Any] = {name: _object(fields) for name, fields in pinned.SCHEMAS.items()}
    for name, values in pinned.ENUMS.items():
        schemas[name] = {"type": "string", "enum": values.split()}
    schemas["Order"]["properties"]["status"] = {"$ref": "#/components/schemas/OrderStatus"}
    schemas["Market"]["properties"]["settlement_ts"] = {"type": ["string", "null"]}
    return {
        "openapi": "3.0.0",
        "info": {"version": "3.99.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def asyncapi() -> dict[str, Any]:
    """Document that says what is pinned, payloads behind references."""
    channels: dict[str, Any] = {name: {"address": name} for name in pinned.CHANNELS}
    channels["root"] = {"address": "/"}
    schemas, messages = {}, {}
    for kind, fields in pinned.MESSAGES.items():
        msg = _object(fields)
        if kind == "error":
            msg["properties"]["code"] = {"type": "integer", "enum": list(STREAM_ERRORS)}
        schemas[f"{kind}Payload"] = {
            "type": "object",
            "properties": {"type": {"type": "string", "const": kind}, "msg": msg},
        }
        messages[kind] = {"payload": {"$ref": f"#/components/schemas/{kind}Payload"}}
    command = {"type": "object", "properties": {"cmd": {"const": "subscribe"}, "type": {"const": "x"}}}
    messages["subscribeCommand"] = {"payload": command}
    return {
        "asyncapi": "3.0.0",
        "channels": channels,
        "components": {"messages": messages, "schemas": schemas},
    }
