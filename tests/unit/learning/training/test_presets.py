"""Presets: one set of defaults, and a wrong name is refused with all of them."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.presets import PRESETS, STANDARD, preset_named
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.workflows.progressive_record import ProgressiveConfig
from kalshi_platform.workflows.quickstart import QuickstartConfig


def test_every_way_to_train_begins_with_the_preset_standard():
    standard = RunSettings.of_preset(STANDARD)
    assert RunSettings() == QuickstartConfig().run == ProgressiveConfig().run == standard
    train = standard.train
    assert (standard.env.decision_interval_ms, standard.episodes.max_steps) == (30_000, 300)
    assert (train.level, train.learning_rate, train.entropy_coeff) == ("tiny", 1e-3, 0.006)
    assert (train.anneal_steps, train.validate_every) == ("run", 16)


def test_every_message_decides_at_every_message():
    assert RunSettings.of_preset("every-message").env.decision_interval_ms == 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_says_its_preset_and_what_differs(name):
    settings = RunSettings.of_preset(name)
    assert settings.in_words == f"preset {name}"
    changed = settings.with_values({"train.total_env_steps": 5, "env.order_style": "maker"})
    assert changed.in_words == f"preset {name} with env.order_style=maker, train.total_env_steps=5"


def test_an_unknown_preset_is_refused_with_the_nearest_or_all():
    with pytest.raises(ContractError, match=r"no preset 'standrad'; did you mean standard \("):
        preset_named("standrad")
    with pytest.raises(ContractError, match=r"there are standard \(.*, every-message \("):
        preset_named("xyz")
