"""The guard of the test split."""

import json
from types import SimpleNamespace

import pytest

from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE, open_held_out

DATASET = SimpleNamespace(uri="/data", entries=lambda split: ["a market"])


def test_the_test_split_stays_shut_without_final(tmp_path):
    with pytest.raises(LimitError, match="--final"):
        open_held_out(DATASET, "test", False, tmp_path, Subject())
    assert not (tmp_path / OPENINGS_FILE).exists()


def test_every_opening_of_the_test_split_is_written_down(tmp_path):
    subject = Subject(checkpoint="run/best", dataset_digest="abc")
    assert [open_held_out(DATASET, "test", True, tmp_path, subject) for _ in range(2)] == [0, 1]
    lines = [json.loads(x) for x in (tmp_path / OPENINGS_FILE).read_text().splitlines()]
    assert [x["checkpoint"] for x in lines] == ["run/best"] * 2
    assert lines[0]["dataset_digest"] == "abc"
    assert open_held_out(DATASET, "validation", False, tmp_path, subject) == 0


def test_an_empty_test_split_is_refused_and_leaves_no_trace(tmp_path):
    empty = SimpleNamespace(uri="/data", entries=lambda split: [])
    with pytest.raises(DataError, match="/data has no market in its test split"):
        open_held_out(empty, "test", True, tmp_path, Subject())
    assert list(tmp_path.iterdir()) == []
