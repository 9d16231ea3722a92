"""Settings every experiment starts from: small networks, and a smoke form of 24 iterations."""

import importlib
import pkgutil

from made.experiments import values_of

import tune_experiments
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import SweepConfig
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP


def test_the_base_is_the_preset_standard_but_for_level_and_curriculum():
    run = RunSettings()
    changed = {"train.level": run.train.level, "curriculum.scale": run.curriculum.scale}
    assert BASE.with_values(changed) == run
    assert (BASE.train.level, BASE.curriculum.scale) == ("simple", 0.1)


def test_a_smoke_run_has_24_iterations_and_is_judged_before_its_patience_ends():
    smoke = BASE.with_values(SMOKE_BASE)
    # 98,304 steps of 64 environments x 64 steps = 4,096 an iteration: 24
    assert (smoke.train.batch_size, smoke.train.total_env_steps) == (4_096, 24 * 4_096)
    assert smoke.train.annealed_over == 25 * 4_096  # the whole run, whose last iteration still learns
    sweep = SweepConfig(**SMOKE_SWEEP)
    assert sweep.grace_iterations < 24
    assert sweep.grace_validations * smoke.train.validate_every < 24


def test_every_experiment_has_a_name_of_its_own_and_something_to_compare():
    names = [m.name for m in pkgutil.iter_modules(tune_experiments.__path__) if m.name != "base"]
    asked = [importlib.import_module(f"tune_experiments.{name}").EXPERIMENT for name in names]
    assert len({experiment.name for experiment in asked}) == len(names) >= 6
    for experiment in asked:
        assert len(values_of(experiment)) >= 2
