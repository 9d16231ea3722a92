"""An experiment as it is asked: whole and small, without starting it."""

from types import ModuleType
from typing import Any

from kalshi_platform.learning.tuning.experiment import Experiment, variants


def values_of(asked: Experiment) -> list[dict[str, Any]]:
    """Settings that each variant of ``asked`` sets, in order; every one was checked on the way."""
    return [dict(variant.values) for variant in variants(asked, asked.sweep)]


def check_smoke(module: ModuleType) -> list[dict[str, Any]]:
    """Check the small form of the module's experiment and that its docstring says how to run it.

    Returns the settings of the small form's variants.
    """
    asked: Experiment = module.EXPERIMENT
    assert asked.question.endswith("?")
    for word in ("Run ", "Smoke ", "Expect "):
        assert word in (module.__doc__ or "")
    smoke = asked.smoked()
    small = variants(smoke, smoke.sweep)
    assert 2 <= len(small) <= 4
    assert all(v.settings.train.total_env_steps <= 100_000 for v in small)
    return [dict(v.values) for v in small]
