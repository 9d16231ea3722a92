"""The guard of the test split."""

import json

import pytest

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE, open_held_out, opens_test


def test_the_test_split_stays_shut_without_final(tmp_path):
    with pytest.raises(LimitError, match="--final"):
        open_held_out("test", False, tmp_path, Subject())
    assert not (tmp_path / OPENINGS_FILE).exists()


def test_every_opening_of_the_test_split_is_written_down(tmp_path):
    subject = Subject(checkpoint="run/best", dataset_digest="abc")
    assert [open_held_out("test", True, tmp_path, subject) for _ in range(2)] == [0, 1]
    lines = [json.loads(x) for x in (tmp_path / OPENINGS_FILE).read_text().splitlines()]
    assert [x["checkpoint"] for x in lines] == ["run/best"] * 2
    assert lines[0]["dataset_digest"] == "abc"
    assert open_held_out("validation", False, tmp_path, subject) == 0


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
