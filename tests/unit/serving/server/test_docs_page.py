"""The page of the API shows every endpoint and field, fetches nothing and runs nothing."""

import re

from made.pages import sound_page
from made.serving_app import App

from kalshi_platform.serving.server.docs_page import docs_page


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
