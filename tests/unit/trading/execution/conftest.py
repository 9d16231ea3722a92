"""One executor over a plain account, in a home of its own."""

import pytest
from made.execution import Bench


@pytest.fixture
def benches(tmp_path, monkeypatch):
    """Maker of benches that are ended with the test."""
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    made = []

    def make(limits=None, *, opened=True, **settings):
        made.append(Bench(tmp_path / f"account{len(made)}", limits, **settings))
        if opened:
            made[-1].open()
        return made[-1]

    yield make
    for bench in made:
        bench.end()


@pytest.fixture
def bench(benches):
    return benches()
