"""The plateau of a history of Sharpe ratios, and the order of levels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.pace import validations_until
from kalshi_platform.workflows.complexity import ComplexityScaler, PlateauConfig, recent_gain, require_levels
from kalshi_platform.workflows.progressive_record import ProgressiveConfig


def validations(history: list[float]) -> list[dict[str, float]]:
    return [{"score": 0.0, "sharpe": x} for x in history]


def test_the_gain_is_the_difference_of_two_means_worked_by_hand():
    # last three: (0.4 + 0.5 + 0.6) / 3 = 0.5; the three before: (0.1 + 0.2 + 0.3) / 3 = 0.2; 9 is older
    assert recent_gain([9.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 3) == pytest.approx(0.3)


def test_fewer_than_two_windows_decide_nothing():
    scaler = ComplexityScaler(PlateauConfig(window=3))
    assert recent_gain([0.0] * 5, 3) is None
    assert not scaler.should_scale([0.0] * 5)
    assert scaler.stop(validations([0.0] * 5)) is None
    assert scaler.should_scale([0.0] * 6)


def test_windows_of_fifty_as_in_the_brief_ask_for_a_twentieth():
    scaler = ComplexityScaler(PlateauConfig(window=50))
    assert not scaler.should_scale([0.0] * 99)
    assert not scaler.should_scale([0.0] * 50 + [0.05] * 50)  # a gain of 0.05 is not below 0.05
    assert scaler.should_scale([0.0] * 50 + [0.049] * 50)
    assert scaler.should_scale([1.0] * 50 + [0.0] * 50)  # falling is no gain either


def test_the_reason_names_the_gain_and_the_windows():
    reason = ComplexityScaler(PlateauConfig(window=2)).stop(validations([0.1, 0.1, 0.12, 0.12]))
    assert reason == (
        "plateau: mean Sharpe of the last 2 validations is +0.020 against the 2 before, less than +0.05"
    )


def test_a_level_of_a_million_steps_can_reach_the_plateau_by_default():
    # 1,000,000 / 4,096 = 245 iterations: the first, the last and every 16th are validated, 1 + 15 + 1 = 17
    level = ProgressiveConfig().settings_of("simple", "").train
    assert validations_until(level, level.iterations) == 17
    assert ComplexityScaler(PlateauConfig()).out_of_reach(17) is None
    assert ComplexityScaler(PlateauConfig()).stop(validations([0.3] * 12)) is not None


def test_windows_that_no_level_can_fill_are_told():
    told = ComplexityScaler(PlateauConfig(window=50)).out_of_reach(17)
    assert told is not None
    assert told.startswith("a level validates 17 times, two windows of 50 validations need 100: no plateau")
    assert ComplexityScaler(PlateauConfig(window=8)).out_of_reach(17) is None


def test_a_validation_without_a_sharpe_ratio_is_no_part_of_the_history():
    scaler = ComplexityScaler(PlateauConfig(window=1))
    assert (
        scaler.stop([{"score": 0.0}, {"score": 0.0, "sharpe": None}, {"score": 0.0, "sharpe": 0.1}]) is None
    )


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=8), st.floats(-3, 3))
def test_a_constant_added_to_every_entry_changes_nothing(history: list[float], shift: float):
    gain = recent_gain(history, 4)
    assert recent_gain([x + shift for x in history], 4) == pytest.approx(gain, abs=1e-9)


@pytest.mark.parametrize("levels", [[], ["simple", "simple"]])
def test_levels_are_wanted_once_each(levels: list[str]):
    with pytest.raises(ContractError, match="want at least one, each once"):
        require_levels(levels)
    with pytest.raises(ContractError, match="level 'huge' is none of tiny, simple,"):
        require_levels([*levels, "huge"])
