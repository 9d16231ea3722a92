"""The table of size and power: draws as they say, every row in the docs, figures that a rerun would give."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from kalshi_platform.evaluation.statistics.power import blocks_needed

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "statistics.md").read_text()


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("power_table", ROOT / "benchmarks" / "power_table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["power_table"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["normal", "skewed", "skewed_down", "clustered_events"])
def test_worthless_returns_have_mean_zero_and_unit_spread(made, name):
    values = getattr(made, name)(np.random.default_rng(1), 4, 50_000)
    # 200,000 draws; those of one lognormal have heavy tails
    assert values.mean() == pytest.approx(0.0, abs=0.02)
    assert values.std() == pytest.approx(1.0, abs=0.1)


def test_events_of_a_block_hang_together_and_blocks_are_their_means(made):
    events = made.clustered_events(np.random.default_rng(2), 1, 20_000).reshape(-1, made.EVENTS)
    assert np.corrcoef(events[:, 0], events[:, 1])[0, 1] == pytest.approx(made.CORRELATION, abs=0.02)
    blocks = made.clustered_blocks(np.random.default_rng(2), 1, 20_000)
    np.testing.assert_allclose(blocks[0], events.mean(axis=1))


def test_the_page_holds_a_row_for_every_case_and_number_of_blocks(made):
    inside = PAGE.split(made.BEGIN)[1].split(made.END)[0]
    for case in made.CASES:
        for n in made.SIZES:
            assert f"| {case.name} | {n} | " in inside, "run python benchmarks/power_table.py"


@pytest.mark.parametrize("row", [0, 6])
def test_a_rerun_gives_the_figures_of_the_page(made, row):
    case, n, repeats = made.CASES[row], 25, 40
    found = re.search(
        re.escape(f"| {case.name} | {n} | ") + r"([\d.]+)% \|[^|]+\| ([\d.]+)% \| ([\d.]+)%", PAGE
    )
    got = made.rates(case, n, repeats)
    for ours, theirs in zip(got[:3], map(float, found.groups()), strict=True):
        # 40 repeats: a standard error of at most 0.08
        assert ours == pytest.approx(theirs / 100, abs=0.25)


def test_the_table_of_blocks_is_that_of_the_formula():
    edges, blocks = (
        [cell.strip() for cell in line.split("|")[2:-1]]
        for line in PAGE.splitlines()
        if line.startswith(("| edge / spread", "| blocks |"))
    )
    assert [str(blocks_needed(1.0, float(edge))) for edge in edges] == blocks
