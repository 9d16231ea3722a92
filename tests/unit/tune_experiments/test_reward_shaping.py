"""Shaping the reward: a holding cost or none, discounts and a push to explore."""

from made.experiments import check_smoke, values_of

from tune_experiments import reward_shaping


def test_eight_draws_are_made_with_and_without_a_holding_cost():
    found = values_of(reward_shaping.EXPERIMENT)
    assert sorted(v["env.holding_cost_per_day"] for v in found) == [0.0] * 8 + [0.01] * 8
    assert {v["train.gamma"] for v in found} <= {0.95, 0.98, 0.99, 0.995}
    assert all(1e-3 <= v["train.entropy_coeff"] <= 2e-2 for v in found)


def test_its_small_form_makes_two_draws_of_each():
    assert [v["env.holding_cost_per_day"] for v in check_smoke(reward_shaping)].count(0.0) == 2
