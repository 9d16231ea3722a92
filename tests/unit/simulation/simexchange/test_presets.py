"""Named worlds: each says what it was fitted to; the old one keeps its bytes under its new name."""

import hashlib
from typing import get_args

import pytest

from kalshi_platform.domain.worlds import OWN_SETTINGS, WORLDS
from kalshi_platform.simulation.simexchange import SimConfig, event_of, preset_of
from kalshi_platform.simulation.simexchange.presets import PRESETS, Preset, world_of
from kalshi_platform.simulation.simexchange.world import WorldConfig

#: sha256 of the rows of event 2 of ``SimConfig(n_events=3, messages_per_market=300)`` at commit c4bcb296.
PLANTED = "40d9dbd606fd0c58938ce6c848711941b9380145a106f53c03251abb018c31fc"


def digest_of(event) -> str:
    found = hashlib.sha256()
    for column in (*event.wire.rows, *event.wire[1:]):
        found.update(column.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", get_args(Preset))
def test_every_preset_takes_the_seed_and_says_on_which_date_it_was_fitted_to_what(name):
    assert preset_of(name, 7).seed == 7
    assert preset_of(name, 7).digest != preset_of(name, 8).digest
    facts = PRESETS[name]
    assert " on 2026-11-2" in facts.fitted
    assert isinstance(preset_of(name), WorldConfig) == ("INXD-23APR" in facts.fitted)


@pytest.mark.parametrize("name", sorted({*get_args(Preset)} - {"default"}))
def test_a_world_has_its_preset_s_name_whatever_its_extent(name):
    config = preset_of(name, 5).replace(n_events=9)
    assert world_of(config) == name
    assert name in WORLDS
    if isinstance(config, WorldConfig):
        assert world_of(config.replace(min_duration_s=700, max_duration_s=800, stagger_s=9)) == name


def test_a_world_of_changed_settings_has_no_preset_s_name():
    assert world_of(preset_of("calibrated").replace(gap_share=0.5)) == OWN_SETTINGS
    assert world_of(SimConfig(messages_per_market=57)) == OWN_SETTINGS


def test_planted_imbalance_is_the_old_default_to_the_byte():
    assert preset_of("planted_imbalance") == preset_of("default") == SimConfig()
    config = preset_of("planted_imbalance").replace(n_events=3, messages_per_market=300)
    assert digest_of(event_of(config, 2)) == PLANTED


def test_the_calibrated_worlds_are_of_two_days():
    one, other = preset_of("calibrated"), preset_of("calibrated_apr10")
    assert (one.digest, other.digest) == ("7250726b6bdb", "28d45e84d24d")  # as docs/world.md measured them
    assert "fitted on 2026-11-29 to the S&P 500 market INXD-23APR13" in PRESETS["calibrated"].fitted
    assert "fitted on 2026-11-29 to the S&P 500 market INXD-23APR10" in PRESETS["calibrated_apr10"].fitted
    assert [len(event_of(one.replace(min_duration_s=600, max_duration_s=600), 0).specs) > 0] == [True]
