"""Shared by the tests of sessions: a clock that is not in the exchange's weekly pause."""

from collections.abc import Iterator

import pytest
from made.away_from_pause import away_from_pause


@pytest.fixture(scope="module", autouse=True)
def _away_from_pause() -> Iterator[None]:
    with away_from_pause():
        yield
