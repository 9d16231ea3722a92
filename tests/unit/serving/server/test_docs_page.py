"""The page of the API shows every endpoint and field, fetches nothing and runs nothing."""

import re
from pathlib import Path

from made.pages import sound_page
from made.serving_app import App

from kalshi_platform.serving.server import docs_page as docs_page_module
from kalshi_platform.serving.server.docs_page import REFUSALS, docs_page
from kalshi_platform.serving.server.routes import ROUTES


def test_the_page_shows_every_endpoint_and_every_field_and_fetches_nothing():
    app = App()
    response = app.client.get("/docs")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    document, page = app.client.get("/openapi.json").json(), response.text
    for path in document["paths"]:
        assert f"{path}</code>" in page
    for name, schema in document["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page
        for field in schema.get("properties", {}):
            assert f'<th scope="row">{field}' in page
    sound_page(page)
    assert re.findall(r"<script|https?://|src=|@import|url\(", page) == []
    assert "/docs" not in document["paths"]


def test_text_of_the_document_is_escaped():
    document = {
        "info": {"title": "<b>", "version": "1", "description": "a & b"},
        "paths": {"/x": {"get": {"summary": "<script>", "responses": {"200": {}}}}},
        "components": {
            "schemas": {"T": {"properties": {"f": {"type": "array", "items": {"$ref": "#/c/U"}}}}}
        },
    }
    page = docs_page(document)
    assert "<script" not in page
    assert "&lt;b&gt; 1" in page
    assert "a &amp; b" in page
    assert "list of U" in page


def test_every_kind_of_refusal_stands_in_the_table():
    folder = Path(docs_page_module.__file__).parent
    source = "".join(path.read_text() for path in sorted(folder.glob("*.py")) if path.name != "docs_page.py")
    raised = set(re.findall(r'(?:Problem|refusal|of_wrong)\(\s*(?:\d{3},\s*)?"([a-z-]+)"', source))
    told = {kind for _, kinds, _, _ in REFUSALS for kind in kinds.split(", ")}
    assert len(raised) > 20
    assert raised == told


def test_the_examples_of_the_page_ask_routes_that_there_are():
    page = App().client.get("/docs").text
    asked = set(re.findall(r"\$ADDRESS(/[\w/]+)", page))
    assert asked <= {route.path for route in ROUTES}
    assert {"/v1/example", "/v1/decide", "/v1/model", "/v1/models/rollback"} <= asked


def test_the_examples_ask_the_address_at_which_the_page_was_found():
    client = App(access={"require_token": False, "hosts": ["kalshi.example.org"]}).client
    for host in ("localhost:18347", "[::1]:8000", "kalshi.example.org"):
        assert f"ADDRESS={host}\n" in client.get("/docs", headers={"Host": host}).text
    for rubbish in ("$(rm -rf x)", "<b>:1", "a b", "", "a;b", "x" * 300):
        assert "ADDRESS=127.0.0.1:8000\n" in docs_page(client.get("/openapi.json").json(), rubbish)
