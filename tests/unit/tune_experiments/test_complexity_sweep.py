"""How large a network pays: every level that PPO trains, smallest left out."""

from made.experiments import check_smoke, values_of

from kalshi_platform.models.networks.levels import LEVELS
from tune_experiments import complexity_sweep


def test_the_levels_from_simple_on_are_compared_one_a_trial():
    assert [v["train.level"] for v in values_of(complexity_sweep.EXPERIMENT)] == list(LEVELS)[1:]


def test_its_small_form_compares_the_two_smallest():
    assert [v["train.level"] for v in check_smoke(complexity_sweep)] == list(LEVELS)[:2]
