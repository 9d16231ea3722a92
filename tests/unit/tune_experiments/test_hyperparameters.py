"""PPO's settings drawn from ranges, changed as a population goes."""

from made.experiments import check_smoke, values_of

from kalshi_platform.learning.training.folder import MAY_MUTATE
from kalshi_platform.learning.tuning.experiment import mutations
from tune_experiments import hyperparameters


def test_eight_variants_are_drawn_inside_their_ranges():
    found = values_of(hyperparameters.EXPERIMENT)
    assert len({v["train.learning_rate"] for v in found}) == 8
    for values in found:
        assert 1e-4 <= values["train.learning_rate"] <= 3e-3
        assert 1e-3 <= values["train.entropy_coeff"] <= 2e-2
        assert 0.1 <= values["train.clip"] <= 0.3


def test_a_population_may_change_every_one_of_them_in_the_middle_of_a_run():
    asked = hyperparameters.EXPERIMENT
    assert asked.sweep.scheduler == "pbt"
    assert set(mutations(asked.space, MAY_MUTATE)) == {"learning_rate", "entropy_coeff", "clip"}
    assert asked.base.train.anneal_steps == asked.smoked().base.train.anneal_steps == 0


def test_its_small_form_is_a_population_of_two():
    assert len(check_smoke(hyperparameters)) == 2
