"""Fuzz targets of the importer: captures, metadata, answers and Parquet with a value that does not belong.

Every file is taken or refused in words; nothing else may be raised. ``make fuzz`` draws more cases.
"""

import json

import pytest
from made.market_files import T0, load, snapshot, trade, write
from made.odd_values import (
    ANSWERS,
    FRAMES,
    METADATA,
    drawn,
    odd_tables,
    odd_texts,
    refused_or_taken,
    save,
    tables,
)


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.parquet", [trade("E-A", second, 4_200) for second in range(3)])


@pytest.mark.parametrize("kind", sorted(tables()))
def test_a_table_with_an_odd_column_is_taken_or_refused_by_the_name_of_its_file(kind, good):
    path, beside = good.with_name("odd.parquet"), ([good] if "market" in kind or kind == "metadata" else [])
    n_tried = n_refused = 0
    for words, table in drawn(odd_tables(kind)):
        try:
            save(table, path)
        except (ValueError, NotImplementedError):  # of a type that Parquet has not
            continue
        n_tried += 1
        said = refused_or_taken(words, lambda: load(path, *beside))
        assert said == "" or "odd.parquet" in said, f"{words}: {said[:300]}"
        n_refused += bool(said)
    assert n_tried > 50
    assert n_refused > 10


def test_metadata_with_an_odd_value_is_taken_or_refused(good):
    path = good.with_name("m.json")
    refused = 0
    for words, text in drawn(odd_texts(METADATA)):
        path.write_text(text)
        refused += bool(refused_or_taken(words, lambda: load(path, good)))
    assert refused


def test_a_capture_with_an_odd_frame_is_taken_or_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    for words, text in drawn(odd_texts(FRAMES)):
        raws = [json.dumps(snapshot("E-A", 1)), text, json.dumps(snapshot("E-A", 9))]
        lines = [{"recv_ns": (T0 + i) * 10**9, "conn": 1, "raw": raw} for i, raw in enumerate(raws)]
        path.write_text("\n".join(map(json.dumps, lines)))
        refused_or_taken(words, lambda: load(path))


def test_an_answer_of_the_exchange_with_an_odd_value_is_taken_or_refused(tmp_path):
    path = tmp_path / "answer.json"
    refused = 0
    for words, text in drawn(odd_texts(ANSWERS)):
        path.write_text(text)
        refused += bool(refused_or_taken(words, lambda: load(path)))
    assert refused


def test_a_name_in_the_footer_that_is_no_utf8_is_refused(tmp_path):
    path = write(tmp_path / "odd.parquet", [trade("E-A", 1, 4_200, zzzz_note="x")])
    path.write_bytes(path.read_bytes().replace(b"zzzz_note", b"\xff\xfezz_note"))
    said = refused_or_taken("footer", lambda: load(path))
    assert "odd.parquet" in said


def test_an_unknown_type_of_fifty_megabytes_makes_a_counter_of_one_short_name(tmp_path):
    path = tmp_path / "c.jsonl"
    raws = [json.dumps(snapshot("E-A", 1)), json.dumps({"type": "x" * 50_000_000, "sid": 1, "seq": 2})]
    lines = [{"recv_ns": (T0 + i) * 10**9, "conn": 1, "raw": raw} for i, raw in enumerate(raws)]
    path.write_text("\n".join(map(json.dumps, lines)))
    _, counters = load(path)
    (name,) = (name for name in counters if name.startswith("unknown_type:"))
    assert name == f"unknown_type:{'x' * 48}..."


def test_ten_thousand_unknown_types_are_counted_and_few_are_named(tmp_path):
    path = tmp_path / "c.jsonl"
    raws = [
        json.dumps(snapshot("E-A", 1)),
        *(json.dumps({"type": f"odd {n}", "sid": 9, "seq": n}) for n in range(10_000)),
    ]
    lines = [{"recv_ns": T0 * 10**9 + i, "conn": 1, "raw": raw} for i, raw in enumerate(raws)]
    path.write_text("\n".join(map(json.dumps, lines)))
    _, counters = load(path)
    unknown = {name: n for name, n in counters.items() if name.startswith("unknown_type:")}
    assert len(unknown) <= 2_000
    assert sum(unknown.values()) == 10_000
