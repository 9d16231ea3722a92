"""Shared by tests of sessions that must send orders: a clock that is not in the exchange's weekly pause."""

from collections.abc import Iterator

import pytest
from made.away_from_pause import away_from_pause


@pytest.fixture(scope="module")
def outside_pause() -> Iterator[None]:
    """Run the module's sessions, and what they talk to, away from the weekly pause."""
    with away_from_pause():
        yield
