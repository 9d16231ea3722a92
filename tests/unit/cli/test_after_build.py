"""Commands named after a build: each of them can do its work on the dataset as it is divided."""

import pytest

from kalshi_platform.cli.after_build import next_lines
from kalshi_platform.data.dataset.inspect import DatasetSummary, SplitSummary
from kalshi_platform.domain.program import program


def divided(**events: int) -> DatasetSummary:
    splits = {
        name: SplitSummary(events=n, markets=n, rows=n, unplayable_events=0, unplayable_markets=0)
        for name, n in ({"train": 0, "validation": 0, "test": 0} | events).items()
    }
    return DatasetSummary.model_construct(splits=splits)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_dataset_with_train_and_validation_events_is_trained_on():
    assert next_lines(divided(train=3, validation=1), "data/mine/") == [
        f"next: {program()} train --dataset data/mine/ --out runs/mine"
    ]


def test_judge_only_recordings_judge_the_run_of_make_run(tmp_path):
    (tmp_path / "runs" / "quickstart" / "run").mkdir(parents=True)
    assert next_lines(divided(judge_only=2), "data/mine") == [
        "judge only: no policy can be trained on it, but one of other data can be judged",
        f"next: {program()} evaluate --run runs/quickstart/run --dataset data/mine --out runs/mine-judged",
    ]


def test_where_there_is_no_run_yet_the_command_that_makes_one_comes_first():
    first = f"first: {program()} quickstart    (it makes runs/quickstart/run)"
    assert first in next_lines(divided(judge_only=2), "data/mine")


def test_beside_divided_events_the_part_to_judge_is_named():
    assert next_lines(divided(train=1, judge_only=2), "data/mine")[-1].endswith(" --split judge_only")


def test_a_dataset_that_can_neither_train_nor_judge_says_so():
    assert next_lines(divided(train=1), "data/mine") == [
        "no policy can be trained on it: it has no event in train or in validation; record more"
    ]


def test_markets_that_cannot_be_played_teach_nothing():
    summary = divided(train=3, validation=1)
    full = summary.splits["train"].replace(unplayable_events=3, unplayable_markets=3)
    summary = summary.model_copy(update={"splits": summary.splits | {"train": full}})
    assert next_lines(summary, "data/mine") == [
        "no policy can be trained on it: it has no market in train that can be played; record more"
    ]
