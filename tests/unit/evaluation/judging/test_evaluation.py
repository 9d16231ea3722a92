"""The records of an evaluation: JSON and back, and settings that cannot be."""

import json

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.evaluation import WHOLE_LIVES_UP_TO, EvalConfig, Evaluation


def test_the_answer_is_json_and_comes_back_equal(judged):
    again = Evaluation.parse(json.loads(judged.model_dump_json()))
    assert again == judged


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ContractError, match="unknown baselines"):
        EvalConfig.parse({"baselines": ("alchemy",)})
    with pytest.raises(ContractError, match="repeat"):
        EvalConfig.parse({"seeds": (1, 1)})


@pytest.mark.parametrize(
    ("n_rows", "schedule", "each"),
    [(WHOLE_LIVES_UP_TO, "markets", 20), (WHOLE_LIVES_UP_TO + 1, "windows", 1)],
)
def test_whole_lives_are_played_up_to_a_million_rows_and_one_window_a_market_above(n_rows, schedule, each):
    config = EvalConfig.for_rows(n_rows)
    assert (config.schedule, config.episodes_per_market) == (schedule, each)


def test_every_baseline_is_beaten_only_where_each_interval_lies_above_zero(judged):
    def with_beats(*beats):
        kept = zip(judged.comparisons, beats, strict=False)
        return judged.model_copy(
            update={"comparisons": tuple(c.model_copy(update={"beats": b}) for c, b in kept)}
        )

    assert with_beats(True, True, True).beats_every_baseline
    assert not with_beats(True, False, True).beats_every_baseline
    assert not with_beats().beats_every_baseline  # nobody was played: nobody was beaten
