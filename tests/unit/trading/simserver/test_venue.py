"""The venue: events follow each other, what it tells is the simulated world, and its memory stays flat."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from kalshi_platform.simulation.simexchange.world.generate import (
    plan_specs,
    simulate_world_event,
    trade_event,
)
from kalshi_platform.trading.simserver.clock import MOST_SLICE_NS, SimClock
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
SHORT = {"min_duration_s": 600, "max_duration_s": 900}


class Recorded:
    """A feed that keeps changes of books, lifecycles and times."""

    def __init__(self):
        self.changes = defaultdict(list)  # ticker -> (own price, change)
        self.times = defaultdict(list)  # event -> times of its changes
        self.told, self.tops = [], Counter()

    def delta(self, market, side, price_e4, change_e2, time_ns, client):
        assert client is None  # nobody from outside trades
        self.changes[market.ticker].append((10_000 - price_e4 if side else price_e4, change_e2))
        self.times[market.event.ticker].append(time_ns)

    def ticker(self, market):
        assert (market.bid_e4, market.bid_e2, market.ask_e4, market.ask_e2) == market.top()
        self.tops[market.ticker] += 1

    def lifecycle(self, market, event_type, fields):
        self.told.append((market.ticker, event_type, fields))

    def __getattr__(self, name):
        return lambda *_: None


def venue_of(**settings):
    config = ServerConfig.parse({"start_ns": START_NS, "world": SHORT, **settings})
    feed = Recorded()
    return LiveVenue(config, SimClock(START_NS, 1.0), feed), feed


def run(venue, seconds, slice_s=5):
    for _ in range(0, seconds, slice_s):
        venue.advance(venue.clock.now_ns + slice_s * SECOND_NS)


def simulated(config, index):
    """Ticker -> changes of its book in the simulated event, in order."""
    rng = np.random.default_rng([config.seed, index])
    family, _, specs, plan = plan_specs(config, rng, index)
    tape = trade_event(config, rng, specs, family, plan).tape
    found = defaultdict(list)
    for market, own, change in zip(
        tape.market.tolist(), tape.level.tolist(), tape.change.tolist(), strict=True
    ):
        found[specs[market].ticker].append((own, change))
    return found


@pytest.mark.parametrize("begun", [False, True])
def test_books_change_as_simulate_writes_them_and_are_paid_as_it_says(begun):
    venue, feed = venue_of(n_events=2, seed=9, begun=begun)
    run(venue, 2_400)
    values = {t: f["settlement_value"] for t, kind, f in feed.told if kind == "determined"}
    for index in range(3):
        for ticker, changes in simulated(venue.config.world_config(), index).items():
            told = feed.changes[ticker]
            n = len(told) - len(changes)
            at = next(k for k in range(n + 1) if told[k : k + len(changes)] == changes)
            assert sum(change for _, change in told) == 0  # the close leaves nothing
            assert all(change > 0 for _, change in told[:at])  # the makers' first ladders
            assert all(change < 0 for _, change in told[at + len(changes) :])  # the cancels of the close
        event = simulate_world_event(venue.config.world_config(), index)
        paid = {s.ticker: f"{s.value_e4 / 10_000:.4f}" for s in event.settlements}
        assert {ticker: values[ticker] for ticker in paid} == paid


def test_changes_of_an_event_come_in_order_of_time_and_tops_after_them():
    """Over all events an expiry may come late: the core does it at its event's next command."""
    venue, feed = venue_of(n_events=4, seed=2)
    run(venue, 600, slice_s=20)
    assert len(feed.times) >= 4
    for times in feed.times.values():
        assert times == sorted(times)
    assert sum(map(len, feed.times.values())) > 1_000
    assert feed.tops.keys() == feed.changes.keys()


def test_events_follow_each_other_and_paid_ones_are_forgotten():
    venue, feed = venue_of(n_events=2, seed=1, keep_events=3)
    for _ in range(40):
        run(venue, 300, slice_s=20)
        living = [event for event in venue.events.values() if event.live is not None]
        assert len(venue.open_now) in (1, 2)  # the next one opens some seconds after a close
        assert len(living) <= 2 + 2
        assert len(venue.events) <= 3 + len(living)
        assert len(venue.markets) == sum(len(event.markets) for event in venue.events.values())
    assert venue.account.primary.reserved_e6 == {}
    indexes = [event.index for event in venue.events.values()]
    assert min(indexes) > 20
    kinds = Counter(kind for _, kind, _ in feed.told)
    assert kinds["determined"] >= kinds["settled"] > 60  # of markets
    assert kinds["created"] > 60


def test_a_slow_machine_slips_instead_of_running_after():
    clock = SimClock(START_NS, 10.0)
    clock._wall_ns -= 3_000_000_000  # three seconds went by at once
    assert clock.target_ns() - START_NS == pytest.approx(10 * MOST_SLICE_NS, rel=1e-3)
    assert clock.slipped_ns == pytest.approx(3_000_000_000 - MOST_SLICE_NS, rel=1e-2)
