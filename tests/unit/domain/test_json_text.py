"""JSON that every program can read."""

import ast
import json
import math
from pathlib import Path

import pytest

from kalshi_platform.domain.json_text import json_text

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_however_deep_it_lies(value):
    assert (
        json_text({"a": [1.5, (value, {"b": value})], "c": value})
        == '{"a": [1.5, [null, {"b": null}]], "c": null}'
    )
    assert json.loads(json_text({value: 1})) == {str(value): 1}


def test_finite_values_are_written_as_by_the_standard_library():
    value = {"b": [1, 2.5, None, True, "\u00e4"], "a": {}}
    assert json_text(value) == json.dumps(value)
    assert json_text(value, indent=1, sort_keys=True) == json.dumps(value, indent=1, sort_keys=True)
    assert json_text(value, tight=True) == json.dumps(value, separators=(",", ":"))


def test_the_product_writes_json_here_only():
    found = [
        str(path.relative_to(ROOT))
        for package in ("kalshi_platform", "serve_deployments", "tune_experiments")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("dump", "dumps")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("json", "orjson")
    ]
    assert set(found) == {"kalshi_platform/domain/json_text.py"}
