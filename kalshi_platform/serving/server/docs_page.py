"""The page ``/docs``: every endpoint and field of the OpenAPI document, in one file that fetches nothing.

Why own     FastAPI's page loads Swagger UI from a CDN: a service that reaches no internet would show a blank
            one, and a service that does would run somebody else's script beside its answers.
Invariant   no script, no link to another host; every text of the document is escaped.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from kalshi_platform.domain.json_text import json_text

#: The browser may use the page's own style and load nothing.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: Where a service listens whose address nobody told.
DEFAULT_ADDRESS: Final = "127.0.0.1:8000"
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")
_METHODS: Final = ("get", "post", "put", "patch", "delete")
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; overflow-wrap: anywhere; }
th[scope=row] { font-weight: 400; }
th[scope=col] { overflow-wrap: normal; } table.codes th { white-space: nowrap; }
caption { text-align: left; opacity: .75; } .scroll { overflow-x: auto; }
tr + tr > * { border-top: 1px solid #8884; } h2 code { font-size: 1rem; } section { margin-top: 2.5rem; }
"""


#: Commands that work when pasted.
_EXAMPLES: Final = """<section id="examples"><h2>Examples</h2><p>Where the service asks for tokens, add
<code>-H "Authorization: Bearer TOKEN"</code>.</p><pre>
ADDRESS={address}
curl -s $ADDRESS/v1/example &gt; request.json          # a request that works, for the model that answers
curl -s -H 'Content-Type: application/json' -d @request.json $ADDRESS/v1/decide
curl -s $ADDRESS/v1/model                           # the columns that it reads
curl -s $ADDRESS/v1/readyz
curl -s -X POST -H "Authorization: Bearer ADMIN_TOKEN" $ADDRESS/v1/models/reload
curl -s -H "Authorization: Bearer ADMIN_TOKEN" -H 'Content-Type: application/json' \\
     -d '{"reason": "it trades too much"}' $ADDRESS/v1/models/rollback</pre>
<p>A stream begins with <code>{"type": "open"}</code>, then takes frames as the exchange sends them; a model
that was judged on simulated data alone wants <code>{"type": "open", "allow_simulated": true}</code>.</p>
</section>"""
#: Refusals: status, types, meaning and what to do.
REFUSALS: Final = (
    ("400", "malformed-json", "the body is not JSON", "detail says where it stops being JSON"),
    ("401", "unauthorized", "no token, or one that is not known", "send Authorization: Bearer TOKEN"),
    ("403", "not-an-admin", "a client's token where an administrator's is needed", "send an admin token"),
    ("403", "browser", "a page in a browser asked", "ask from a program, without the header Origin"),
    ("404", "not-found", "no such route", "GET / lists every route"),
    ("405", "method-not-allowed", "the route has another method", "detail names it"),
    (
        "408",
        "body-too-slow, body-gave-way",
        "the body came too slowly",
        "send it at once, on a new connection",
    ),
    ("409", "feature-digest", "rows of another feature table", "use the release that trained the model"),
    ("409", "request-id-reused", "the id was used for another body", "give every request an id of its own"),
    ("409", "model-refused, no-rollback", "reload or rollback was refused", "detail has the reason"),
    ("413", "body-too-long, too-many-groups", "more than one request may ask", "send several requests"),
    ("415", "not-json", "another content type", "send Content-Type: application/json"),
    ("415", "content-encoding", "a body that is packed as a whole", "send it as it is; rows may be packed"),
    (
        "421",
        "host",
        "another name than the service's in Host",
        "ask an address, or have the name in access.hosts",
    ),
    ("422", "invalid-field", "fields of the wrong kind", "errors lists each with what is allowed"),
    ("422", "out-of-bounds, wrong-shape, missing-history", "numbers that the model cannot read", "the same"),
    ("422", "unknown-feature, repeated-feature, missing-feature", "columns", "GET /v1/model lists them"),
    ("422", "too-many-markets, repeated-market", "markets that do not fit", "make several groups"),
    ("426", "websocket", "a plain request to /v1/stream", "connect with ws://"),
    ("429", "too-many-requests", "more than the service grants", "wait as Retry-After says"),
    ("429", "too-much-work", "requests that took more than a share of the processor", "the same"),
    (
        "499",
        "client-left",
        "the client left in the middle of its body",
        "send the body whole; no answer came",
    ),
    ("500", "internal", "a mistake in the service", "tell its operator the request_id"),
    ("503", "no-model, registry", "no model yet, or no registry to read", "wait as Retry-After says"),
)


def docs_page(document: Mapping[str, Any], address: str = DEFAULT_ADDRESS) -> str:
    """HTML text of the page that shows the OpenAPI ``document``; its commands ask the service at ``address``.

    An ``address`` that is no host with a port, such as a header of rubbish, is DEFAULT_ADDRESS.
    """
    shown = address if _ADDRESS.fullmatch(address) else DEFAULT_ADDRESS
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
    parts = [_EXAMPLES.replace("{address}", shown), _refusals()]
    parts += [_operation(method, path, operation) for method, path, operation in operations]
    parts += [_schema(name, schema) for name, schema in sorted(schemas.items())]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p>{escape(info.get("description", ""))} As JSON: <a href="openapi.json">openapi.json</a>. '
        "<code>WS /v1/stream</code> takes frames in and gives decisions out (docs/streaming.md).</p>"
        f"<ul>{contents}</ul>{''.join(parts)}</body></html>"
    )


def _refusals() -> str:
    """Section on the refusals: every problem that the service answers."""
    table = _table(
        "Refusals by status", ("status", "type (/problems/...)", "meaning", "what to do"), REFUSALS, "codes"
    )
    words = "Bodies are problem details (RFC 9457)."
    return f'<section id="refusals"><h2>Refusals</h2><p>{words}</p>{table}</section>'


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
    parts.append(_table("Answers by status", ("answer", "body"), answers, "codes"))
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


def _table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], kind: str = "") -> str:
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(_row(*row) for row in rows)
    name = f' class="{kind}"' if kind else ""
    table = f"<table{name}><caption>{escape(caption)}</caption><tr>{top}</tr>{body}</table>"
    label = escape(caption, quote=True)
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _row(name: str, *cells: str) -> str:
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{rest}</tr>'
