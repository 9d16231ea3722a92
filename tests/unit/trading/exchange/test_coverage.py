import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from made.doc_pages import blocks_of
from made.exchange_documents import asyncapi, openapi
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange import coverage_facts as pinned
from kalshi_platform.trading.exchange.coverage import compare_document, pinned_facts
from kalshi_platform.trading.exchange.stream_errors import STREAM_ERRORS

EXCHANGE = Path(__file__).parents[4] / "kalshi_platform" / "trading" / "exchange"


def written(folder, document, name="document.yaml"):
    path = folder / name
    path.write_text(json.dumps(document) if name.endswith("json") else yaml.safe_dump(document))
    return path


def drifts(folder, document):
    return [
        (each.change, each.kind, each.name, each.is_broken)
        for each in compare_document(written(folder, document))
    ]


@pytest.mark.parametrize("name", ["document.yaml", "document.json"])
@pytest.mark.parametrize("made", [openapi, asyncapi])
def test_a_document_that_says_what_is_pinned_has_no_drift(tmp_path, made, name):
    assert compare_document(written(tmp_path, made(), name)) == []


def test_a_used_endpoint_that_is_gone_is_broken_and_a_known_one_is_not(tmp_path):
    document = openapi()
    del document["paths"]["/portfolio/events/orders"]["post"]
    del document["paths"]["/events/multivariate"]
    assert drifts(tmp_path, document) == [
        ("removed", "endpoint", "POST /portfolio/events/orders", True),
        ("removed", "endpoint", "GET /events/multivariate", False),
    ]


def test_a_used_field_of_another_type_is_broken(tmp_path):
    document = openapi()
    document["components"]["schemas"]["Fill"]["properties"]["count_fp"] = {"type": "integer"}
    (found,) = compare_document(written(tmp_path, document))
    assert (found.change, found.name, found.was, found.now) == (
        "changed",
        "Fill.count_fp",
        "string",
        "integer",
    )
    assert found.is_broken


def test_what_is_new_is_told_and_breaks_nothing(tmp_path):
    document = openapi()
    document["paths"]["/new"] = {"get": {}}
    document["components"]["schemas"]["OrderStatus"]["enum"].append("suspended")
    document["components"]["schemas"]["Market"]["properties"]["mood"] = {"type": "string"}
    document["components"]["schemas"]["NobodyReadsThis"] = {"properties": {"a": {"type": "string"}}}
    assert drifts(tmp_path, document) == [
        ("new", "endpoint", "GET /new", False),
        ("new", "enum value", "OrderStatus.suspended", False),
        ("new", "schema field", "Market.mood", False),
    ]


def test_drift_of_the_stream_is_found_in_channels_fields_and_error_codes(tmp_path):
    document = asyncapi()
    del document["channels"]["orderbook_delta"]
    document["channels"]["trade_v2"] = {"address": "trade_v2"}
    book = document["components"]["schemas"]["orderbook_deltaPayload"]["properties"]["msg"]["properties"]
    del book["delta_fp"]
    book["delta_fp_e4"] = {"type": "string"}
    codes = document["components"]["schemas"]["errorPayload"]["properties"]["msg"]["properties"]["code"]
    codes["enum"] = [*[code for code in codes["enum"] if code != 25], 29]
    assert drifts(tmp_path, document) == [
        ("removed", "channel", "orderbook_delta", True),
        ("removed", "error", "25", True),
        ("removed", "message field", "orderbook_delta.delta_fp", True),
        ("new", "channel", "trade_v2", False),
        ("new", "error", "29", False),
        ("new", "message field", "orderbook_delta.delta_fp_e4", False),
    ]


def test_references_in_a_circle_and_into_nothing_end(tmp_path):
    document = openapi()
    schemas = document["components"]["schemas"]
    schemas["A"], schemas["B"] = {"$ref": "#/components/schemas/B"}, {"$ref": "#/components/schemas/A"}
    schemas["Trade"] = {"$ref": "#/components/schemas/A"}
    schemas["Fill"] = {"$ref": "#/nowhere"}
    assert {name.partition(".")[0] for _, _, name, _ in drifts(tmp_path, document)} == {"Trade", "Fill"}


@pytest.mark.parametrize("text", ["a: [", "- 1", "swagger: '2.0'", "openapi: 3.0.0", ""])
def test_what_is_no_document_of_either_kind_is_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(str(path))):
        compare_document(path)


def test_every_endpoint_that_the_client_calls_is_pinned_as_used():
    called = set()
    for name in ("public_calls.py", "account_calls.py", "order_calls.py"):
        source = (EXCHANGE / name).read_text()
        called |= set(re.findall(r'"(/[a-z_{}/]+)"', source))
    used = {call.split()[1] for call, use in pinned.ENDPOINTS.items() if use == "used"}
    pieces = {"/limit", "/reset", "/trigger"}  # of order_calls.py, put behind a group's path
    assert called - pieces <= used
    assert used - called <= {
        "/portfolio/events/orders/{order_id}/amend", "/portfolio/events/orders/{order_id}/decrease",
        "/portfolio/order_groups/create", *(f"/portfolio/order_groups/{{order_group_id}}{p}" for p in pieces),
    }  # fmt: skip


def test_every_field_that_is_pinned_has_a_type():
    for kind in ("openapi", "asyncapi"):
        fields = [fact for fact in pinned_facts(kind).values() if fact.kind.endswith("field")]
        assert len(fields) > 50
        types = {fact.type for fact in fields}
        assert types <= {"string", "integer", "number", "boolean", "array", "object"}


# The command


def run(*words):
    return CliRunner().invoke(app, ["exchange", "drift", *map(str, words)], env={"COLUMNS": "200"})


def test_the_command_ends_with_0_where_nothing_used_changed(tmp_path):
    done = run(written(tmp_path, openapi()), written(tmp_path, asyncapi(), "stream.json"))
    assert done.exit_code == 0, done.output
    assert "as pinned, nothing new" in done.stdout
    assert "nothing that the client uses changed" in done.stdout


def test_the_command_ends_with_4_where_something_used_is_gone(tmp_path):
    document = openapi()
    del document["paths"]["/markets/trades"]
    path = written(tmp_path, document)
    done = run(path)
    assert done.exit_code == 4
    assert "GET /markets/trades" in done.stdout
    done = run(path, "--json")
    assert done.exit_code == 4
    found = json.loads(done.stdout)
    assert found["broken"] == 1
    assert found["documents"][str(path)][0]["change"] == "removed"


def test_the_command_refuses_a_file_that_is_no_document(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("hello")
    done = run(path)
    assert done.exit_code == 3
    assert "not an object" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nest too deep"),
        ("openapi: " + "9" * 5_000, "neither YAML nor JSON"),
        ("openapi: 2026-99-99", "neither YAML nor JSON"),
    ],
)
def test_the_command_refuses_a_file_that_cannot_be_read_to_its_end(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text)
    done = run(path)
    assert done.exit_code == 3
    assert f"{path}: " in done.stderr
    assert said in done.stderr


def test_schemas_that_take_from_themselves_and_lists_that_are_none_end(tmp_path):
    document = openapi()
    itself = {"$ref": "#/components/schemas/Circle"}
    document["components"]["schemas"] |= {
        "Circle": {"allOf": [itself], "properties": {"a": itself}},
        "Odd": {"oneOf": 5, "enum": 5},
    }
    assert run(written(tmp_path, document)).exit_code == 0


def test_the_commands_of_the_page_run_on_made_documents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, openapi(), "openapi.yaml")
    written(tmp_path, asyncapi(), "asyncapi.yaml")
    page = Path(__file__).parents[4] / "docs" / "exchange-client.md"
    (block,) = [block for block in blocks_of(page) if block.language == "sh" and "drift" in block.text]
    for line in block.text.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "kalshi-platform"
        done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output


def test_the_page_shows_the_reactions_and_the_channels_as_the_code_has_them():
    page = (Path(__file__).parents[4] / "docs" / "exchange-client.md").read_text()
    for code, (meaning, reaction) in STREAM_ERRORS.items():
        assert f"| {code} | {meaning} | {reaction.value} |" in page
    for name, use in pinned.CHANNELS.items():
        assert f"| `{name}` | {use} |" in page
    counts = {use: sum(each == use for each in pinned.ENDPOINTS.values()) for use in ("used", "known")}
    assert f"{counts['used']} endpoints are used, {counts['known']} known" in page
