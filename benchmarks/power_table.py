"""Size and power of the statistics that decide: how often worthless policies pass, and edges are seen.

    python benchmarks/power_table.py            writes the table into docs/statistics.md
    python benchmarks/power_table.py --repeats 20 --show    prints it only

Simulated are returns of unit spread. Size: nothing has an edge. Power: one policy of ten has the edge named.
    interval  of the one policy lies above zero (what a gate asks); 2.5 % by chance
    Hansen    p below 5 % against doing nothing, ten trials: equation 8 alone, and the p-value that decides
    DSR       deflated Sharpe ratio of the best of ten above 95 %
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.evaluation.statistics.blocks import nested_means
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, block_mean_interval
from kalshi_platform.evaluation.statistics.overfitting import TrialReturns, deflate, effective_trials
from kalshi_platform.evaluation.statistics.power import power_at
from kalshi_platform.evaluation.statistics.superiority import SuperiorityConfig, superiority

DOCS: Final = Path(__file__).resolve().parents[1] / "docs" / "statistics.md"
BEGIN, END = "<!-- power_table: begin -->\n", "<!-- power_table: end -->\n"
TRIALS: Final = 10
#: Events of a block and their correlation, as measured on recorded crypto windows.
EVENTS, CORRELATION = 7, 0.26
SIZES: Final = (13, 25, 60)
_LOGNORMAL_SD: Final = float(np.sqrt((np.e - 1) * np.e))

Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def normal(rng: np.random.Generator, trials: int, n: int) -> np.ndarray:
    """Normal returns (trials, n)."""
    return rng.normal(0.0, 1.0, (trials, n))


def skewed(rng: np.random.Generator, trials: int, n: int) -> np.ndarray:
    """Returns (trials, n) with rare large gains: a lognormal of skewness 6, centred."""
    return (rng.lognormal(0.0, 1.0, (trials, n)) - np.exp(0.5)) / _LOGNORMAL_SD


def skewed_down(rng: np.random.Generator, trials: int, n: int) -> np.ndarray:
    """Returns (trials, n) with rare large losses, as of a policy that sells insurance."""
    return -skewed(rng, trials, n)


def clustered_events(rng: np.random.Generator, trials: int, n: int) -> np.ndarray:
    """Returns (trials, n * EVENTS) of events that share a block."""
    shared = np.repeat(rng.normal(0.0, 1.0, (trials, n)), EVENTS, axis=1)
    own = rng.normal(0.0, 1.0, shared.shape)
    return np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own


def clustered_blocks(rng: np.random.Generator, trials: int, n: int) -> np.ndarray:
    """Means (trials, n) over the events of each block."""
    block = np.repeat(np.arange(n), EVENTS)
    return np.array([nested_means(row, [block])[1] for row in clustered_events(rng, trials, n)])


class Case(NamedTuple):
    """One row of the table."""

    name: str
    draw: Draw
    edge: float = 0.0


CASES: Final = (
    Case("no edge, normal", normal),
    Case("no edge, rare large gains", skewed),
    Case("no edge, rare large losses", skewed_down),
    Case("no edge, 7 events a block (r = 0.26), counted by block", clustered_blocks),
    Case("the same, counted by event (wrong)", clustered_events),
    Case("edge 0.25 of the spread", normal, 0.25),
    Case("edge 0.5 of the spread", normal, 0.5),
    Case("edge 1.0 of the spread", normal, 1.0),
)


class Rates(NamedTuple):
    """Shares of the simulated questions that each statistic answered with yes."""

    interval: float
    hansen: float
    both: float
    deflated: float


def rates(case: Case, n: int, repeats: int) -> Rates:
    """Simulate ``case`` with ``n`` blocks ``repeats`` times."""
    bootstrap, test = BootstrapConfig(resamples=1_000), SuperiorityConfig(resamples=300)
    found = np.zeros(4)
    for repeat in range(repeats):
        values = case.draw(np.random.default_rng([41, n, repeat]), TRIALS, n)
        values[0] += case.edge
        names = tuple(f"t{k}" for k in range(TRIALS))
        returns = TrialReturns(names, tuple(f"b{k:05d}" for k in range(values.shape[1])), values)
        best = names[int(values.mean(axis=1).argmax())]
        (against_nothing,) = superiority(returns, {}, test)
        p_value, judged_p = against_nothing.p_value, against_nothing.judged_p
        probability = deflate(returns, best, effective_trials(returns)).probability
        found += (
            block_mean_interval(values[0], bootstrap).above_zero,
            p_value is not None and p_value < 0.05,
            judged_p is not None and judged_p < 0.05,
            probability is not None and probability > 0.95,
        )
    return Rates(*(found / repeats).tolist())


def table(repeats: int, sizes: tuple[int, ...] = SIZES, cases: tuple[Case, ...] = CASES) -> str:
    """Markdown of the whole table: one row a case and number of blocks."""
    error = 100 * np.sqrt(0.0475 / repeats)
    lines = [
        f"{repeats} simulations a row; a share of 5 % has a standard error of {error:.1f} %.",
        "",
        "| case | blocks | interval above zero | by formula | Hansen, eq. 8 | Hansen, decides "
        "| deflated Sharpe |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        for n in sizes:
            r = rates(case, n, repeats)
            formula = f"{power_at(n, 1.0, case.edge):.0%}" if case.edge else "2.5%"
            lines.append(
                f"| {case.name} | {n} | {r.interval:.1%} | {formula} | {r.hansen:.1%} | {r.both:.1%} "
                f"| {r.deflated:.1%} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into docs/statistics.md, between its marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=160)
    parser.add_argument("--show", action="store_true", help="print only")
    asked = parser.parse_args()
    made = table(asked.repeats)
    if asked.show:
        print(made)
        return
    text = DOCS.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCS.write_text(head + BEGIN + made + END + tail)


if __name__ == "__main__":
    main()
