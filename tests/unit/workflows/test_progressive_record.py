"""The decision on a level, and the record of a progressive run."""

from pathlib import Path

import pytest
from made.progressive import CONFIG, interval, judged, latency, level, record

from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.workflows.progressive_record import (
    decide,
    decide_first,
    read_progressive,
)


@pytest.mark.parametrize(
    ("difference", "p99_ms", "kept", "reason"),
    [
        (interval(0.1, 0.01, 0.2), 10.0, True, "gains +0.100 Sharpe over simple, at least +0.010"),
        (interval(0.099, 0.01, 0.2), 1.0, False, "gains +0.099 Sharpe over simple, less than 0.1"),
        (interval(0.3, 0.0, 0.6), 1.0, False, "may be as low as +0.000, not surely above zero"),
        (
            interval(0.3, 0.1, 0.6),
            10.1,
            False,
            "p99 of a decision is 10.1 ms of computing, its budget 10 ms",
        ),
        (
            interval(0.3),
            1.0,
            False,
            "the gain of +0.300 Sharpe over simple has no interval, not surely above zero",
        ),
        (interval(None), 1.0, False, "its gain over simple is unknown (one event only)"),
    ],
)
def test_a_level_is_kept_where_it_gains_enough_surely_and_is_fast(difference, p99_ms, kept, reason):
    found, words = decide(CONFIG, "simple", difference, latency(p99_ms), 10.0)
    assert found is kept
    assert reason in words


def test_everything_that_is_wrong_with_a_level_is_said_at_once():
    _, words = decide(CONFIG, "simple", interval(-0.2, -0.5, 0.1), latency(20.0), 10.0)
    assert words.count(";") == 2


def test_the_first_level_must_reach_its_sharpe():
    assert decide_first(CONFIG, judged(0.5)) == (
        True,
        "Sharpe 0.500 a block over 3 blocks reaches the 0.5 asked of the first level",
    )
    assert decide_first(CONFIG, judged(0.49))[0] is False


def test_a_first_level_judged_on_two_blocks_is_not_kept_however_good():
    two = judged(0.5).replace(sharpe=None, blocks={"A": 0.3, "B": 0.31})
    kept, words = decide_first(CONFIG, two)
    assert not kept
    assert "n = 2, decides nothing" in words


def test_the_level_to_use_is_the_last_one_kept():
    both = record(level("simple", True), level("moderate", False, "it gains too little"))
    assert both.require_kept().level == "simple"
    assert both.is_finished
    assert both.verdict == "Use simple. Moderate is not kept: it gains too little."
    assert record(level("simple", True), level("moderate", True)).require_kept().level == "moderate"
    assert not record(level("simple", True)).is_finished
    assert not record().is_finished


def test_a_first_level_that_is_not_worth_it_ends_with_a_limit():
    failed = record(level("simple", False, "Sharpe 0.1 is below"))
    assert failed.is_finished
    with pytest.raises(LimitError, match=r"No level is worth using: Sharpe 0\.1 is below"):
        failed.require_kept()


def test_settings_of_a_level_start_from_its_teacher():
    chosen = CONFIG.replace(steps_per_level=5_000).settings_of("moderate", "/runs/0-simple")
    assert (chosen.train.level, chosen.train.teacher) == ("moderate", "/runs/0-simple")
    assert chosen.train.total_env_steps == 5_000


def test_a_teacher_of_ones_own_or_an_unknown_level_is_refused():
    with pytest.raises(ContractError, match="the pipeline chooses the teacher itself"):
        CONFIG.replace(run=RunSettings().with_values({"train.teacher": "x"}))
    with pytest.raises(ContractError, match="level 'huge' is none of"):
        CONFIG.replace(levels=("huge",))


def test_a_damaged_record_is_refused_by_name(tmp_path: Path):
    assert read_progressive(tmp_path) is None
    (tmp_path / "progressive.json").write_text("{")
    with pytest.raises(DataError, match=r"progressive\.json is not JSON"):
        read_progressive(tmp_path)
