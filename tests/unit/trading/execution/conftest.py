"""Executors over plain accounts, each at an exchange and in a home of its own."""

import pytest
from made.execution import Bench


@pytest.fixture
def benches(tmp_path, monkeypatch):
    """Maker of benches that are ended with the test."""
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", "")  # and put back at the end
    made = []

    def make(limits=None, *, opened=True, **settings):
        made.append(Bench(tmp_path / f"account{len(made)}", limits, **settings))
        made[-1].home = tmp_path / f"home{len(made)}"
        if opened:
            made[-1].open()
        return made[-1]

    yield make
    for bench in made:
        bench.end()


@pytest.fixture
def bench(benches):
    return benches()
