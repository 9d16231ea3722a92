"""Columns over the markets of a bank equal what the markets themselves say."""

import numpy as np
import pytest
from made.many_markets import write_many

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.simulation.replay.infos import (
    closes_ns_of,
    exclusive_of,
    numbered,
    origins,
    tickers_of,
    volatility_of,
)
from kalshi_platform.simulation.replay.open import Share, _full_rows, _shared
from kalshi_platform.simulation.replay.stored_infos import StoredInfos


@pytest.fixture
def infos(tmp_path):
    manifest = write_many(tmp_path, 60)
    blocks = [
        m.replace(block=f"w@{m.event[-1]}") if at % 6 < 3 else m for at, m in enumerate(manifest.markets)
    ]
    dataset = Dataset(Dataset.open(tmp_path).storage, manifest.replace(markets=blocks))
    return StoredInfos(dataset, dataset.entries().in_order())


def test_stored_infos_behave_as_a_tuple(infos):
    listed = tuple(infos)
    assert infos == listed
    assert infos != listed[:-1]
    assert (infos[-1], infos[2:5]) == (listed[-1], listed[2:5])
    assert listed[0].history.close_ns == listed[0].told.close_ns


@pytest.mark.parametrize("trait", ["event", "block", "category", "provenance"])
def test_names_are_numbered_by_first_appearance(infos, trait):
    names, place = numbered(infos, trait)
    by_hand = numbered(tuple(infos), trait)
    assert names == by_hand.names
    np.testing.assert_array_equal(place, by_hand.place)
    assert [names[at] for at in place] == [getattr(info, trait) or "unknown" for info in infos]


def test_columns_equal_the_markets(infos):
    listed = tuple(infos)
    for column in (closes_ns_of, exclusive_of, tickers_of, volatility_of):
        assert list(column(infos)) == list(column(listed))
    assert list(origins(infos)) == [(m.provenance, m.event, m.block) for m in listed]


def test_shares_hold_every_market_once_and_know_its_rows_in_the_whole_bank(tmp_path):
    write_many(tmp_path, 60)
    entries = Dataset.open(tmp_path).entries().in_order()
    n_rows = entries.numbers("n_rows")
    places = [_shared(entries, Share(worker, 3), "x") for worker in range(3)]
    assert sorted(np.concatenate(places).tolist()) == list(range(60))
    rows = [_full_rows(n_rows, own).of(np.arange(-1, n_rows[own].sum())) for own in places]
    assert all(found[0] == -1 for found in rows)
    starts = np.cumsum(n_rows) - n_rows
    assert rows[1].tolist()[1:] == [
        row for at in places[1] for row in range(starts[at], starts[at] + n_rows[at])
    ]
    assert sorted(np.concatenate([found[1:] for found in rows]).tolist()) == list(range(n_rows.sum()))
    huge = np.array([2**31, 3])
    assert _full_rows(huge, np.array([1])).of(np.array([[2, 0], [-1, 1]])).tolist() == [
        [2**31 + 2, 2**31],
        [-1, 2**31 + 1],
    ]
