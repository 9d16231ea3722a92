"""A world at its opening: settings in the kernels' units, and nobody acts before somebody is due."""

import pytest

from kalshi_platform.simulation.matching.records import NEVER_NS
from kalshi_platform.simulation.simexchange.world import WorldConfig
from kalshi_platform.simulation.simexchange.world.opening import makers_of, settings_of
from kalshi_platform.simulation.simexchange.world.records import (
    EXCLUSIVE,
    MAKER_DTYPE,
    SETTINGS_DTYPE,
)


def test_settings_are_in_the_units_of_the_kernels():
    config = WorldConfig(
        takers_per_hour=36.0, decay_s=2.0, whales_per_hour=0.0, limits_per_hour=60.0, arbitrage_ms=90.0,
        batch_ms=100.0, pace_ms=1.5, child_contracts=12.5, informed_edge_cents=0.5,
    )  # fmt: skip
    found = settings_of(config, EXCLUSIVE)[0]
    assert found["taker_rate"] == pytest.approx(1e-11)  # one in 100 s, a ns
    assert found["decay"] == pytest.approx(5e-10)
    assert found["whale_ns"] == NEVER_NS
    assert found["limit_ns"] == pytest.approx(60e9)
    assert found["arbitrage_ns"] == 90e6
    assert (found["batch_us"], found["pace_us"]) == (100_000, 1_500)
    assert found["child_e2"] == 1_250
    assert found["informed_edge_e4"] == 50
    assert found["family"] == EXCLUSIVE


def test_every_maker_has_a_record_in_order():
    config = WorldConfig()
    found = makers_of(config)
    assert found["offset_e4"].tolist() == [100 * m.offset_cents for m in config.makers]
    assert found["refresh_ns"].tolist() == [1e9 * m.refresh_s for m in config.makers]
    assert found["max_e2"].tolist() == [100 * m.max_contracts for m in config.makers]


def test_no_field_is_left_unset():
    everything = WorldConfig(whales_per_hour=1.0)
    assert all(settings_of(everything, 1)[0][name] != 0 for name in SETTINGS_DTYPE.names)
    maker = everything.makers[0].replace(step_contracts=1.0)
    record = makers_of(everything.replace(makers=(maker,)))[0]
    assert all(record[name] != 0 for name in MAKER_DTYPE.names)
