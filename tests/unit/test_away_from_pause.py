"""Clock of the session tests on a Thursday morning in New York."""

import subprocess
import sys
import time

import pytest
from made import away_from_pause as away

from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns
from kalshi_platform.domain.units import NS_PER_DAY, parse_rfc3339

CLOCK = "import time; print(time.time_ns()); print(round(time.time() * 1e9))"


@pytest.mark.parametrize(
    ("at", "days"),
    [
        ("2026-12-03T06:59:59Z", 0),
        ("2026-12-03T07:00:00Z", -1),
        ("2026-12-03T08:30:00Z", -1),
        ("2026-12-03T09:59:59Z", -1),
        ("2026-12-03T10:00:00Z", 0),
        ("2026-07-02T06:30:00Z", -1),  # summer time in New York
    ],
)
def test_the_clock_is_a_day_behind_where_the_pause_is_near(at, days):
    now_ns = parse_rfc3339(at)
    assert away.shift_ns(now_ns) == days * NS_PER_DAY
    shown_ns = now_ns + away.shift_ns(now_ns)
    assert not pause_start_ns(shown_ns) <= shown_ns < pause_start_ns(shown_ns) + PAUSE_NS


def test_this_process_and_its_children_have_one_clock(monkeypatch):
    monkeypatch.setattr(away, "shift_ns", lambda _now_ns: -NS_PER_DAY)
    real_ns = time.time_ns()
    with away.away_from_pause():
        child = subprocess.run([sys.executable, "-c", CLOCK], capture_output=True, text=True, check=True)
        shown = [time.time_ns(), round(time.time() * 1e9), *map(int, child.stdout.split())]
        assert all(0 <= at_ns + NS_PER_DAY - real_ns < NS_PER_DAY // 24 for at_ns in shown)
    assert time.time_ns() >= real_ns
