"""Markets without an outcome, from the files of facts: each is read once, and read again where in doubt."""

import json
from pathlib import Path

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.recorder.facts import unsettled
from kalshi_platform.trading.recorder.facts.unsettled import unsettled_markets


def write(out: Path, run: str, **states: str) -> Path:
    """A file of facts that tells the states of markets."""
    (out / "facts").mkdir(parents=True, exist_ok=True)
    path = out / "facts" / f"{run}.jsonl"
    facts = [{"known_ns": 1, "market": {"ticker": t, "status": s}} for t, s in states.items()]
    event = {"known_ns": 1, "event": {"markets": [{"ticker": "IN-EVENT", "status": "finalized"}]}}
    path.write_text(
        "".join(json.dumps(fact) + "\n" for fact in [*facts, event, {"known_ns": 2, "series": {}}])
    )
    return path


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the files that are read from here on."""
    found: list[str] = []
    real = unsettled._states

    def states(path: Path):
        found.append(path.name)
        return real(path)

    monkeypatch.setattr(unsettled, "_states", states)
    return found


def test_a_folder_without_facts_has_none(tmp_path):
    assert unsettled_markets(tmp_path) == set()
    assert not (tmp_path / ".recorder").exists()


def test_only_new_files_are_read_and_the_answer_is_that_of_reading_all(tmp_path, read):
    write(tmp_path, "a", M="active", N="closed", O="finalized")
    assert unsettled_markets(tmp_path) == {"M", "N"}
    write(tmp_path, "b", N="finalized", P="active")
    assert unsettled_markets(tmp_path) == {"M", "P"}
    assert unsettled_markets(tmp_path) == {"M", "P"}
    assert read == ["a.jsonl", "b.jsonl"]
    (tmp_path / ".recorder" / "unsettled.json").unlink()
    assert unsettled_markets(tmp_path) == {"M", "P"}


@pytest.mark.parametrize("doubt", ["grown", "gone", "earlier", "no json", "unknown key"])
def test_all_files_are_read_again_where_what_was_known_cannot_be_trusted(tmp_path, read, doubt):
    write(tmp_path, "b", M="active", N="active")
    write(tmp_path, "c", N="finalized")
    assert unsettled_markets(tmp_path) == {"M"}
    read.clear()
    known = tmp_path / ".recorder" / "unsettled.json"
    expected = {"M"}
    if doubt == "grown":
        write(tmp_path, "c", N="finalized", Q="active")
        expected = {"M", "Q"}
    elif doubt == "gone":
        (tmp_path / "facts" / "c.jsonl").unlink()
        expected = {"M", "N"}
    elif doubt == "earlier":
        write(tmp_path, "a", M="finalized")  # the later file, which says active, stands
    elif doubt == "no json":
        known.write_text("{")
    else:
        known.write_text(json.dumps({"files": {}, "unsettled": [], "more": 1}))
    assert unsettled_markets(tmp_path) == expected
    assert len(read) == len(list((tmp_path / "facts").iterdir()))


def test_a_line_that_is_no_fact_is_named(tmp_path):
    path = write(tmp_path, "a", M="active")
    path.write_text(path.read_text() + '{"market": 3}\n')
    with pytest.raises(DataError, match=r"a.jsonl: line 4 is no fact .*copy the file again"):
        unsettled_markets(tmp_path)
