"""A side of a dataset: which events are read, their units, and that its pools are those of its markets."""

import numpy as np
import pytest
from made.realism import plain_numbers, plain_values

from kalshi_platform.data.dataset.split import SPLITS
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.realism import side as side_module
from kalshi_platform.evaluation.realism.measures import NUMBERS
from kalshi_platform.evaluation.realism.side import measure_side, select_entries
from kalshi_platform.evaluation.realism.units import HALF_HOUR_NS, units_of


@pytest.fixture(scope="module")
def dataset(world):
    return Dataset.open(world)


@pytest.fixture
def views(monkeypatch):
    """Views of the markets that are measured, gathered."""
    found = []
    add = side_module.Gathering.add

    def keep(self, view, units):
        found.append(view)
        add(self, view, units)

    monkeypatch.setattr(side_module.Gathering, "add", keep)
    return found


def test_a_side_is_what_a_plain_loop_finds_in_its_markets(dataset, views):
    side = measure_side(dataset, ["SIMBKT-0000"])
    assert side.counts.markets == len(views)
    assert side.provenance == {"simulated": len(views)}
    assert side.counts.rows == side.counts.quoted + sum(side.counts.left_out.values())
    plain = plain_values(views)
    for name, pooled in side.pooled.items():
        np.testing.assert_allclose(
            np.repeat(pooled.value, pooled.times.astype(int)), sorted(plain[name]), rtol=1e-12, err_msg=name
        )
    assert all(plain[name] for name in ("spread", "depth of level 1", "trade size", "gap between messages"))
    wanted = plain_numbers(views)
    for n in NUMBERS:
        found = float(n.value(*(side.sums[name].sum() for name in n.sums)))
        np.testing.assert_allclose(found, wanted[n.name], rtol=1e-9, err_msg=n.name)


def test_the_test_split_stays_shut(dataset):
    entries, shut = select_entries(dataset)
    test = set(dataset.manifest.events("test"))
    assert test
    assert shut == len(test)
    assert set(entries.event_names) == set(dataset.entries().event_names) - test
    with pytest.raises(DataError, match="test split, which stays shut"):
        select_entries(dataset, sorted(test))


def test_a_name_that_fits_no_event_is_refused(dataset):
    with pytest.raises(ContractError, match="no event that begins with 'INXD'; it has SIM"):
        select_entries(dataset, ["SIM", "INXD"])


def test_an_event_is_a_unit_where_there_are_enough(dataset):
    entries, _ = select_entries(dataset)
    units = units_of(entries)
    assert (units.n, units.is_time) == (len(entries.event_names), False)
    event = entries.numbers("event")
    first = np.array([market.first for market in units.of_market])
    for code in np.unique(event):
        assert np.unique(first[event == code]).size == 1
    assert units.of_market[0].of(np.array([1, 2])).tolist() == [0, 0]


def test_half_hours_are_units_where_there_are_too_few_events(dataset):
    name = dataset.manifest.events(SPLITS[0])[0]
    entries, _ = select_entries(dataset, [name])
    units = units_of(entries)
    assert units.is_time
    assert "fewer than 3 blocks" in units.words
    first = int(entries.numbers("first_ns").min()) // HALF_HOUR_NS
    last = int(entries.numbers("last_ns").max()) // HALF_HOUR_NS
    assert units.n == last - first + 1
    side = measure_side(dataset, [name])
    held = side.pooled["gap between messages"]
    assert np.unique(held.unit).size > 1
    for market in units.of_market:
        at = np.array([market.begin_ns, market.begin_ns + HALF_HOUR_NS - 1, market.begin_ns + HALF_HOUR_NS])
        assert market.of(at).tolist() == [0, 0, min(1, market.n - 1)]


def test_shards_in_another_order_than_the_manifests_are_refused(dataset, monkeypatch):
    read = side_module.read_rows
    monkeypatch.setattr(side_module, "read_rows", lambda *told: read(*told)[::-1])
    with pytest.raises(DataError, match="another order"):
        measure_side(dataset)
