"""A comparison: no distance from itself, noise of the right size, missing measures named, limits said."""

from dataclasses import replace

import numpy as np
import pytest
from made.realism import made_view, mids, pooled_side, random_view

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.market_data.schema import DELTA, TRADE
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.realism import compare as compare_module
from kalshi_platform.evaluation.realism.compare import (
    compare_datasets,
    compare_distribution,
    compare_number,
)
from kalshi_platform.evaluation.realism.distances import drawn_units
from kalshi_platform.evaluation.realism.measures import (
    DISTRIBUTIONS,
    MORE_PRINTS,
    NO_CLOSE,
    NO_DELTAS,
    NO_ROWS,
    NUMBERS,
)
from kalshi_platform.evaluation.realism.record import RealismConfig, is_within
from kalshi_platform.evaluation.realism.side import Side, measure_side


@pytest.fixture(scope="module")
def itself(world):
    return compare_datasets(world, world, config=RealismConfig(draws=100))


def test_a_dataset_is_at_no_distance_from_itself(itself):
    computed = [each for each in itself.found if each.distance is not None]
    assert len(computed) > 20
    assert {each.distance for each in computed} == {0.0}
    assert all(is_within(each) for each in computed)
    assert {d.ks for d in itself.distributions if d.distance is not None} == {0.0}


def test_what_cannot_be_computed_is_named_and_counted(itself):
    lost = {each.name: each.missing for each in itself.found if each.distance is None}
    markets = itself.recorded.markets
    assert lost["price over 24 h before close"] == dict.fromkeys(
        ("recorded", "simulated"), f"{markets} of {markets} markets: {NO_ROWS}"
    )
    assert all(missing for missing in lost.values())
    assert itself.recorded.test_events > 0
    assert any("test split" in limit for limit in itself.limits)
    assert (
        f"{markets} of the {markets} markets of the recorded side are simulated: nothing is said about a "
        "real market."
    ) in itself.limits


def test_markets_without_a_close_are_counted():
    views = [made_view(mids(40, 41)), made_view(mids(40, 41), close_s=60)]
    side = pooled_side(views)
    measure = next(d for d in DISTRIBUTIONS if d.name.startswith("price under"))
    found = compare_distribution(measure, side, side, None)
    assert found.distance == 0.0
    assert found.noise is None
    assert found.missing["recorded"] == f"1 of 2 markets: {NO_CLOSE}"
    assert is_within(found) is None


def test_sums_without_a_value_say_why():
    prints = [(k, TRADE, 5.0, 0) for k in range(3)]
    many_prints = made_view(mids(40, 41), [*prints, (4, DELTA, -5.0, 0), (5, DELTA, 5.0, 0)])
    without = made_view(mids(40, 41), prints)
    side = pooled_side([many_prints, without])
    cancels = next(n for n in NUMBERS if n.name == "share of cancels")
    found = compare_number(cancels, side, side, None)
    assert (found.recorded, found.distance) == (None, None)
    assert found.missing["recorded"] == f"1 of 2 markets: {NO_DELTAS}; 1 of 2 markets: {MORE_PRINTS}"
    fills = compare_number(next(n for n in NUMBERS if n.name == "share of fills"), side, side, None)
    assert (fills.recorded, fills.missing["recorded"]) == (1.5, f"1 of 2 markets: {NO_DELTAS}")


def test_a_smaller_simulated_side_says_that_its_own_luck_is_not_in_the_noise(world):
    one = Dataset.open(world).manifest.events("train")[0]
    fewer = compare_datasets(world, world, ["SIM"], [one], config=RealismConfig(draws=100))
    (limit,) = (limit for limit in fewer.limits if "fewer quoted rows" in limit)
    assert f"({fewer.simulated.quoted_rows:,}, {fewer.recorded.quoted_rows:,})" in limit
    more = compare_datasets(world, world, [one], ["SIM"], config=RealismConfig(draws=100))
    assert not any("fewer quoted rows" in limit for limit in more.limits)


def test_events_on_both_sides_are_counted(world, itself):
    first, second = Dataset.open(world).manifest.events("train")[:2]
    assert any(f"{itself.recorded.events} events are on both sides" in limit for limit in itself.limits)
    once = compare_datasets(world, world, [first, second], [second], config=RealismConfig(draws=100))
    assert any("1 event is on both sides, from one dataset" in limit for limit in once.limits)
    apart = compare_datasets(world, world, [first], [second], config=RealismConfig(draws=100))
    assert not any("both sides" in limit for limit in apart.limits)


@pytest.mark.parametrize("select", [["INXD"], [""]])
def test_a_wrong_second_side_is_refused_before_the_first_is_measured(world, monkeypatch, select):
    monkeypatch.setattr(compare_module, "measure_side", lambda *_: pytest.fail("measured"))
    with pytest.raises(ContractError, match="begin"):
        compare_datasets(world, world, select_simulated=select)
    with pytest.raises(DataError, match="no complete dataset"):
        compare_datasets(world, f"{world}-absent")


def test_a_recorded_event_alone_says_that_days_are_not_in_its_noise(world):
    name = Dataset.open(world).manifest.events("train")[0]
    found = compare_datasets(world, world, [name], config=RealismConfig(draws=100))
    assert "half hours" in found.recorded.units
    assert any("half hours of 1 recorded event (n = 1, decides nothing)" in limit for limit in found.limits)
    assert found.recorded.events == 1
    assert found.recorded.selected == (name,)


def test_fills_that_a_recording_marks_are_a_lower_bound(rng):
    side = pooled_side([random_view(rng, 50)])
    assert side.counts.is_fill_markets == 1


def half_of(side: Side, chosen: np.ndarray) -> Side:
    """The chosen units of a side, numbered anew."""
    number = np.full(side.units.n, -1)
    number[chosen] = np.arange(chosen.size)
    pooled = {}
    for name, pool in side.pooled.items():
        unit = number[pool.unit]
        kept = unit >= 0
        pooled[name] = pool._replace(value=pool.value[kept], unit=unit[kept], times=pool.times[kept])
    sums = {name: values[chosen] for name, values in side.sums.items()}
    return replace(side, pooled=pooled, sums=sums)


def test_noise_has_the_size_of_what_two_halves_of_one_world_differ_by(world):
    """A half to the other one: sqrt(2) times a resample of a half to that half. Roughly, of 30 halvings."""
    side = measure_side(Dataset.open(world))
    rng = np.random.default_rng(11)
    n = side.units.n // 2
    times = drawn_units(n, 100, 3)
    apart: dict[str, list[float]] = {}
    noise: dict[str, list[float]] = {}
    for _ in range(30):
        order = rng.permutation(side.units.n)
        a, b = half_of(side, order[:n]), half_of(side, order[n : 2 * n])
        found = [compare_distribution(d, a, b, times) for d in DISTRIBUTIONS]
        found += [compare_number(m, a, b, times) for m in NUMBERS]
        for each in found:
            if each.distance is not None and each.noise_median is not None:
                apart.setdefault(each.name, []).append(each.distance)
                noise.setdefault(each.name, []).append(each.noise_median)
    ratios = {
        name: np.median(apart[name]) / np.median(noise[name]) for name in apart if len(apart[name]) == 30
    }
    assert len(ratios) >= 18
    assert {name: round(ratio, 2) for name, ratio in ratios.items() if not 0.6 < ratio < 2.7} == {}
    assert np.median(list(ratios.values())) == pytest.approx(np.sqrt(2), rel=0.25)
