"""Curricula over markets: every one there is against none."""

from typing import get_args

from made.experiments import check_smoke, values_of

from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from tune_experiments import curriculum_sweep


def test_every_curriculum_is_compared():
    names = CurriculumConfig.model_fields["name"].annotation
    compared = [v["curriculum.name"] for v in values_of(curriculum_sweep.EXPERIMENT)]
    assert sorted(compared) == sorted(get_args(names))


def test_its_small_form_runs_through_the_schedule_of_every_curriculum():
    assert [v["curriculum.name"] for v in check_smoke(curriculum_sweep)] == ["none", "phases", "difficulty"]
    small, whole = curriculum_sweep.EXPERIMENT.smoked().base, curriculum_sweep.EXPERIMENT.base
    assert small.curriculum.scale < whole.curriculum.scale
