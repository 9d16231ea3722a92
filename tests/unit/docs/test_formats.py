"""docs/formats.md: every example is imported, every command runs, every column and counter is explained."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from made.foreign_files import M
from made.market_files import load
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.market_data.importers.parquet import LAYOUTS
from kalshi_platform.data.market_data.importers.recognise import FileKind, recognise
from kalshi_platform.data.market_data.importers.table_map import FIELDS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "formats.md").read_text()
KINDS = {
    "capture": {FileKind.CAPTURE},
    "level2": {FileKind.LEVEL2},
    "quotes": {FileKind.QUOTES},
    "trades": {FileKind.TRADES},
    "markets": {FileKind.METADATA_TABLE, FileKind.METADATA_REST},
}
EXAMPLES = [
    (language, word, text)
    for language, word, text in re.findall(r"```(\w+) ([\w.]+)\n(.*?)```", PAGE, re.DOTALL)
]


@pytest.mark.parametrize("number", [n for n, (_, word, _) in enumerate(EXAMPLES) if word in KINDS])
def test_an_example_is_what_the_page_calls_it_and_gives_rows(tmp_path: Path, number: int) -> None:
    _, word, text = EXAMPLES[number]
    path = tmp_path / "example"
    path.write_text(text)
    assert recognise(path) in KINDS[word]
    if word == "markets":
        trades = next(text for _, kind, text in EXAMPLES if kind == "trades")
        (tmp_path / "trades").write_text(trades)
        market = load(path, tmp_path / "trades")[0][M]
        assert market.spec.event == "KXMADE-26DEC01"
        assert market.spec.close_ns == 1_796_101_200 * 10**9
    else:
        assert load(path)[0][M].rows.kind.size > 0


def test_the_page_has_an_example_of_every_kind() -> None:
    assert {word for _, word, _ in EXAMPLES} >= {*KINDS, "theirs.csv", "map.yaml"}


def test_the_recipe_converts_and_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, name, text in EXAMPLES:
        if name in ("theirs.csv", "map.yaml"):
            Path(name).write_text(text)
    (block,) = re.findall(r"test_formats.py -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, done.stderr


def test_the_file_of_factors_is_taken(tmp_path: Path) -> None:
    trades = next(text for _, kind, text in EXAMPLES if kind == "trades")
    (tmp_path / "trades").write_text(trades)
    (tmp_path / "factors.csv").write_text(next(text for _, word, text in EXAMPLES if word == "factors.csv"))
    words = f"dataset build --input {tmp_path}/trades --out {tmp_path}/o --workers 0"
    done = CliRunner().invoke(app, [*shlex.split(words), "--factors", str(tmp_path / "factors.csv")])
    assert done.exit_code == 0, done.stderr


def test_the_page_names_every_column_and_every_field_of_a_map() -> None:
    for layout in LAYOUTS.values():
        for name in layout.required | layout.optional:
            assert f"`{name}`" in PAGE, name
    for fields in FIELDS.values():
        for name in fields:
            assert f"`{name}`" in PAGE, name


def names_in(node: ast.expr) -> Iterator[str]:
    """Names, or beginnings of names, that an expression in the place of a counter's name may have."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield f"`{node.value}`"
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        yield f"`{node.values[0].value!s}"
    elif isinstance(node, ast.IfExp):
        yield from names_in(node.body)
        yield from names_in(node.orelse)


def counters_of(source: str) -> Iterator[str]:
    """Names of the counters that a module counts; tables of names are called ``_COUNTERS`` or ``_NOTES``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript):
            holder = (
                node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            )
            if holder.lstrip("_") in ("counters", "of_job"):
                yield from names_in(node.slice)
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in ("_COUNTERS", "_NOTES"):
            assert isinstance(node.value, ast.Dict)
            for value in node.value.values:
                yield from names_in(value)


def test_every_counter_is_explained() -> None:
    found: dict[str, str] = {}
    for path in sorted((ROOT / "kalshi_platform" / "data").rglob("*.py")):
        found |= dict.fromkeys(counters_of(path.read_text()), path.name)
    assert {"`rows:", "`frames`", "`deltas_before_snapshot`", "`takers_assumed_yes`"} <= found.keys()
    assert {name: where for name, where in found.items() if name not in PAGE} == {}


def test_a_build_without_any_row_says_what_became_of_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deltas.csv").write_text(
        f"timestamp,market_ticker,type,side,price,delta,seq\n1795400000500,{M},delta,yes,42,-1,2\n"
    )
    done = CliRunner().invoke(app, shlex.split("dataset build --input deltas.csv --out o --workers 0"))
    assert done.exit_code == 3
    assert "nothing to learn from; counted (docs/formats.md explains each):" in done.stderr
    assert "deltas_before_snapshot: 1" in done.stderr
