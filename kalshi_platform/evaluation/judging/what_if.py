"""The same policy replayed under other fees, other latency and, for a maker, without a queue.

Every row but the first is a replay of the same episodes with one setting changed; ``setting`` names it.
Cost  two replays more than the fee ladder (three for a maker); ``play`` may give back samples at hand.
"""

from collections.abc import Callable, Sequence
from typing import Final

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.fee_ladder import FULL_E6
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.simulation.envs.config import EnvConfig

#: The latency at which an edge that needs speed is gone.
LATE_MS: Final = 1_000


class WhatIf(Config):
    """Result of the policy under one changed setting; returns are fractions of the episode's capital."""

    label: str
    setting: str  # as in settings files, such as "latency_ms = 1000"
    is_as_set: bool
    mean_return: Interval
    change: Interval | None  # paired difference to the row as set; None in that row
    pnl_e6: int
    fees_e6: int
    n_fills: int


def late_row(rows: Sequence[WhatIf]) -> WhatIf | None:
    """Row of the replay in which orders arrive after a second; None where none was made, or it is as set."""
    return next((row for row in rows if row.setting == f"latency_ms = {LATE_MS}"), None)


def variants(env: EnvConfig) -> list[tuple[str, str, EnvConfig]]:
    """(label, setting, environment) of every row, the one as set first; equal environments come once."""
    asked = [
        ("no fees", "fee_scale_e6", 0),
        ("the exchange's fees", "fee_scale_e6", FULL_E6),
        ("double fees", "fee_scale_e6", 2 * FULL_E6),
        ("no latency", "latency_ms", 0),
        (f"{LATE_MS:,} ms of latency", "latency_ms", LATE_MS),
    ]
    if env.order_style == "maker":
        asked.append(("no queue ahead of resting orders", "maker_queue", False))
    own = f"latency_ms = {env.latency_ms}, fee_scale_e6 = {env.fee_scale_e6}"
    rows = [("as set", own, env)]
    for label, name, value in asked:
        changed = env.replace(**{name: value})
        if name == "latency_ms":  # the whole way, and the same for every order
            changed = changed.replace(feed_latency_ms=0, latency_sigma=0.0)
        if changed.digest not in {e.digest for _, _, e in rows}:
            rows.append((label, f"{name} = {str(value).lower()}", changed))
    return rows


def replay_variants(
    play: Callable[[EnvConfig], Sample], env: EnvConfig, bootstrap: BootstrapConfig
) -> tuple[WhatIf, ...]:
    """One row a variant of ``env``; ``play`` rolls the policy out over the same episodes."""
    rows: list[WhatIf] = []
    base: Sample | None = None
    for label, setting, config in variants(env):
        sample = play(config)
        records = sample.records
        rows.append(
            WhatIf(
                label=label,
                setting=setting,
                is_as_set=base is None,
                mean_return=sample.mean_interval(bootstrap),
                change=None if base is None else compare(sample, base, "as set", bootstrap).difference,
                pnl_e6=int(records.pnl_e6.sum()),
                fees_e6=int(records.fees_e6.sum()),
                n_fills=int(records.n_fills.sum()),
            )
        )
        base = base or sample
    return tuple(rows)
