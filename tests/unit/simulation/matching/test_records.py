"""Memory of a core: markets without orders take next to nothing, those with orders the pages they write."""

from pathlib import Path

import pytest

from kalshi_platform.simulation.matching.records import Sizes, new_core

STATM = Path("/proc/self/statm")


def resident_bytes():
    return int(STATM.read_text().split()[1]) * 4_096


@pytest.mark.skipif(not STATM.is_file(), reason="resident memory is read from Linux's /proc")
def test_a_market_takes_the_memory_that_its_orders_write():
    new_core(Sizes(markets=2))
    before, n_markets = resident_bytes(), 1_000
    core = new_core(Sizes(markets=n_markets, orders=64))
    empty = resident_bytes()
    assert empty - before < 5_000 * n_markets  # its arrays of prices have 325 KB of addresses
    core.depth[:, :, 5_000] = 1
    core.queues["head"][:, :, 5_000] = 1
    assert resident_bytes() - empty < 40_000 * n_markets  # four pages of 4 KiB


def test_a_new_core_is_empty_and_can_be_written():
    core = new_core(Sizes(markets=3, groups=0))
    assert not core.depth.any()
    assert not core.queues["head"].any()
    assert (core.best == -1).all()
    core.queues[1, 0, 9_999].head = 7
    assert core.queues["head"].sum() == 7
    assert core.depth.flags.writeable
