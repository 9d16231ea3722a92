"""The guard of the test split."""

import json
from types import SimpleNamespace

import pytest

from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE, open_held_out, openings, opens_test

DATASET = SimpleNamespace(uri="/data", entries=lambda split: ["a market"])


def test_the_test_split_stays_shut_without_final(tmp_path):
    with pytest.raises(LimitError, match="--final"):
        open_held_out(DATASET, "test", False, tmp_path, Subject())
    assert not (tmp_path / OPENINGS_FILE).exists()


def test_every_opening_of_the_test_split_is_written_down(tmp_path):
    subject = Subject(checkpoint="run/best", dataset_digest="abc")
    first, second = (open_held_out(DATASET, "test", True, tmp_path, subject) for _ in range(2))
    lines = [json.loads(x) for x in (tmp_path / OPENINGS_FILE).read_text().splitlines()]
    assert first == ()
    assert second == (lines[0]["at"],)
    assert openings(tmp_path) == (lines[0]["at"], lines[1]["at"])
    assert [x["checkpoint"] for x in lines] == ["run/best"] * 2
    assert lines[0]["dataset_digest"] == "abc"
    assert open_held_out(DATASET, "validation", False, tmp_path, subject) == ()


def test_an_empty_test_split_is_refused_and_leaves_no_trace(tmp_path):
    empty = SimpleNamespace(uri="/data", entries=lambda split: [])
    with pytest.raises(DataError, match="/data has no market in its test split"):
        open_held_out(empty, "test", True, tmp_path, Subject())
    assert list(tmp_path.iterdir()) == []


def test_all_of_a_dataset_opens_its_test_split_where_it_has_one():
    class Holding:
        def __init__(self, *splits):
            self.splits = splits

        def entries(self, split):
            return [name for name in self.splits if name == split]

    assert opens_test(Holding("train"), "test")
    assert opens_test(Holding("train", "test"), "all")
    assert not opens_test(Holding("judge_only"), "all")
    assert not opens_test(Holding("train", "test"), "validation")


def test_all_of_a_dataset_with_a_test_split_needs_final_too(tmp_path):
    with pytest.raises(LimitError, match="--final"):
        open_held_out(DATASET, "all", False, tmp_path, Subject())
    assert open_held_out(DATASET, "all", True, tmp_path, Subject()) == ()
    assert len((tmp_path / OPENINGS_FILE).read_text().splitlines()) == 1


def test_a_line_that_tells_no_time_still_counts_as_an_opening(tmp_path):
    (tmp_path / OPENINGS_FILE).write_text('{"at": "2026-11-28T10:00:00+00:00"}\nnot JSON\n[]\n')
    assert openings(tmp_path) == ("2026-11-28T10:00:00+00:00", "", "")
