"""Shards read ahead: in order, verified, with a bounded number of bytes in flight."""

import threading
import time

import pytest

from kalshi_platform.domain.errors import ChecksumError
from kalshi_platform.simulation.replay import shards
from kalshi_platform.simulation.replay.shards import ROW_BYTES, read_ahead


class SlowShards:
    """Stands in for ``read_rows``: counts how many events are read at once and how far ahead.

    No event is read to its end before ``together`` were read at once.
    """

    def __init__(self, broken: str = "") -> None:
        self.changed, self.running, self.most_running = threading.Condition(), 0, 0
        self.begun: list[str] = []
        self.broken = broken
        self.together = 1

    def __call__(self, dataset, event):
        with self.changed:
            self.begun.append(event)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most_running >= self.together, timeout=600)
        time.sleep(0.01)
        with self.changed:
            self.running -= 1
        if event == self.broken:
            raise ChecksumError(f"{event}.arrow: sha256 0, the manifest says 1")
        return [(event, None)]


@pytest.fixture
def slow(monkeypatch):
    made = SlowShards()
    monkeypatch.setattr(shards, "read_rows", made)
    return made


EVENTS = [f"E{k}" for k in range(30)]


def test_events_come_in_order_and_several_are_read_at_once(slow):
    slow.together = 2
    found = [rows[0][0] for rows in read_ahead(None, EVENTS, [10] * 30)]
    assert found == EVENTS
    assert 2 <= slow.most_running <= 8


def test_bytes_in_flight_are_bounded_and_a_larger_event_comes_alone(slow):
    sizes = [10] * 10 + [1_000] + [10] * 19
    for k, _ in enumerate(read_ahead(None, EVENTS, sizes, in_flight_bytes=30 * ROW_BYTES)):
        ahead = len(slow.begun) - k
        assert ahead <= 3
    assert slow.most_running <= 3


def test_a_damaged_shard_is_named_where_its_event_would_have_come(slow):
    slow.broken = "E7"
    reading = read_ahead(None, EVENTS, [10] * 30)
    assert [next(reading)[0][0] for _ in range(7)] == EVENTS[:7]
    with pytest.raises(ChecksumError, match=r"E7\.arrow"):
        next(reading)


def test_who_stops_asking_stops_the_reading(slow):
    for _ in read_ahead(None, EVENTS, [10] * 30):
        break
    begun = len(slow.begun)
    time.sleep(0.05)
    assert len(slow.begun) == begun < 30
