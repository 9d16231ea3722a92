"""The page ``/docs``: every endpoint and field of the OpenAPI document, in one file that fetches nothing.

Why own     FastAPI's page loads Swagger UI from a CDN: a service that reaches no internet would show a blank
            one, and a service that does would run somebody else's script beside its answers.
Invariant   no script, no link to another host; every text of the document is escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from kalshi_platform.domain.json_text import json_text

#: The browser may use the page's own style and load nothing.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; overflow-wrap: anywhere; }
th[scope=row] { font-weight: 400; } caption { text-align: left; opacity: .75; } .scroll { overflow-x: auto; }
tr + tr td { border-top: 1px solid #8884; } h2 code { font-size: 1rem; } section { margin-top: 2.5rem; }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """HTML text of the page that shows the OpenAPI ``document``."""
    info, schemas = document["info"], document.get("components", {}).get("schemas", {})
    title = f"{info['title']} {info['version']}"
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
    contents = "".join(
        f'<li><a href="#{_anchor(method, path)}"><code>{method} {escape(path)}</code></a> '
        f"{escape(operation.get('summary', ''))}</li>"
        for method, path, operation in operations
    )
    parts = [_operation(method, path, operation) for method, path, operation in operations]
    parts += [_schema(name, schema) for name, schema in sorted(schemas.items())]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p>{escape(info.get("description", ""))} As JSON: <a href="openapi.json">openapi.json</a>. '
        "<code>WS /v1/stream</code> takes frames in and gives decisions out (docs/streaming.md).</p>"
        f"<ul>{contents}</ul>{''.join(parts)}</body></html>"
    )


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}-{path.strip('/').replace('/', '-')}", quote=True)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f'<section id="{_anchor(method, path)}"><h2><code>{method} {escape(path)}</code></h2>']
    parts.append(f"<p>{escape(operation.get('summary', ''))}</p>")
    if operation.get("security"):
        parts.append("<p>Where the service asks for tokens: <code>Authorization: Bearer TOKEN</code>.</p>")
    if parameters := operation.get("parameters"):
        rows = [(p["name"], _kind(p["schema"]), p.get("description", "")) for p in parameters]
        parts.append(_table("Parameters of the address", ("parameter", "type", "meaning"), rows))
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {_link(_kind(body['content']['application/json']['schema']))}</p>")
    answers = [
        (status, ", ".join(_kind(c.get("schema", {})) for c in answer.get("content", {}).values()))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table("Answers by status", ("answer", "body"), answers))
    return "".join(parts) + "</section>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    parts = [f'<section id="schema-{escape(name, quote=True)}"><h2>{escape(name)}</h2>']
    parts.append(f"<p>{escape(schema.get('description', ''))}</p>")
    required = schema.get("required", ())
    rows = [
        (field if field in required else f"{field} (optional)", _kind(value), value.get("description", ""))
        for field, value in schema.get("properties", {}).items()
    ]
    if rows:
        parts.append(_table(f"Fields of {name}", ("field", "type", "meaning"), rows))
    if "example" in schema:
        parts.append(f"<h3>Example</h3><pre>{escape(json_text(schema['example'], indent=1))}</pre>")
    return "".join(parts) + "</section>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Name of a type: of a component, of an array's members, of each member of a union."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if members := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in members))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _link(kind: str) -> str:
    return f'<a href="#schema-{escape(kind, quote=True)}">{escape(kind)}</a>'


def _table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(_row(*row) for row in rows)
    table = f"<table><caption>{escape(caption)}</caption><tr>{top}</tr>{body}</table>"
    label = escape(caption, quote=True)
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _row(name: str, *cells: str) -> str:
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{rest}</tr>'
