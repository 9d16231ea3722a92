"""Moves the world of agents towards one recorded day; ``calibrate`` then judges it on the other.

    python benchmarks/fit_world.py DATASET DAY STATE.json [--seconds N]   search from STATE (made if absent)
    python benchmarks/fit_world.py DATASET DAY STATE.json --show          every distance of STATE from DAY

DATASET is a dataset of the recorded days (docs/calibration.md builds it), DAY an event of it.

Search    one candidate after the other: a few settings times a random factor, kept where the loss is lower.
          Every candidate sees the same seeds.
Loss      sum over measures of distance / recorded noise, cut at 20; measures beside TARGETS count a quarter.
Judged    on datasets that ``simulate`` writes, with other seeds than these.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.realism.compare import compare_distribution, compare_number
from kalshi_platform.evaluation.realism.distances import drawn_units
from kalshi_platform.evaluation.realism.measures import DISTRIBUTIONS, NUMBERS
from kalshi_platform.evaluation.realism.side import Gathering, Side, measure_side
from kalshi_platform.evaluation.realism.units import MarketUnits, Units
from kalshi_platform.evaluation.realism.view import MarketView, quoted_rows
from kalshi_platform.simulation.simexchange.generate import market_rows
from kalshi_platform.simulation.simexchange.world import WorldConfig, simulate_world_event

#: Measures that issue 14 names, and the volatility.
TARGETS: Final = (
    "spread", "depth of level 1", "depth of level 2", "depth of level 3", "depth of level 4",
    "depth of level 5", "share of fills", "gap between messages", "deltas a second",
    "imbalance R2, 64 rows ahead", "imbalance R2, 256 rows ahead", "volatility",
)  # fmt: skip
#: Settings that the search changes; those of makers carry a maker's place.
SEARCHED: Final = (
    "takers_per_hour", "taker_contracts", "taker_log_sd", "informed_share", "limits_per_hour",
    "limit_contracts", "limit_log_sd", "limit_life_s", "improve_share", "jump_share", "jumps_per_hour",
    "life_s", "pace_mean_ms", "whales_per_hour",
)  # fmt: skip
SEARCHED_OF_MAKERS: Final = (
    "offset_cents", "spacing_cents", "contracts", "step_contracts", "log_sd", "refresh_s", "pause_ms",
    "error_cents", "tolerance_cents", "skew_cents",
)  # fmt: skip
_SEED, _EVENTS = 7_000, 14
_DRAWS, _DRAW_SEED = 400, 20_261_129
_TAKER_RATE_E6 = 70_000


def simulated_side(config: WorldConfig, n_events: int) -> Side:
    """Every measure of the first events of a world, in memory."""
    gathering = Gathering(1)
    for index in range(n_events):
        event = simulate_world_event(config, index)
        for market, spec in enumerate(event.specs):
            messages, _ = market_rows(event.wire, market, spec)
            rows = build_rows(messages, spec)
            quoted = quoted_rows(rows)
            rates = np.full(quoted.at.size, _TAKER_RATE_E6)
            view = MarketView("simulated", rows, messages, quoted, rates, spec.close_ns)
            gathering.add(view, MarketUnits(0, 1, 0, 0))
    return gathering.side(Units(1, False, ()), (), 0, {})


def found(recorded: Side, simulated: Side, times: np.ndarray | None) -> dict[str, dict[str, Any]]:
    """Distance, both sides and noise of every measure, by name."""
    out: dict[str, dict[str, Any]] = {}
    for measure in DISTRIBUTIONS:
        told = compare_distribution(measure, recorded, simulated, times)
        out[told.name] = {
            "distance": told.distance, "noise": told.noise,
            "recorded": told.recorded and {**told.recorded.quantiles, "mean": told.recorded.mean},
            "simulated": told.simulated and {**told.simulated.quantiles, "mean": told.simulated.mean},
        }  # fmt: skip
    for number in NUMBERS:
        one = compare_number(number, recorded, simulated, times)
        out[one.name] = {
            "distance": one.distance, "noise": one.noise, "recorded": one.recorded, "simulated": one.simulated
        }  # fmt: skip
    return out


def loss_of(measures: dict[str, dict[str, Any]], noise: dict[str, float]) -> float:
    """Loss of a candidate."""
    total = 0.0
    for name, scale in noise.items():
        distance = measures[name]["distance"]
        weight = 1.0 if name in TARGETS else 0.25
        total += weight * (20.0 if distance is None else min(distance / scale, 20.0))
    return total


def changed(config: WorldConfig, rng: np.random.Generator) -> WorldConfig:
    """A neighbour: up to four settings times a random factor; the same again where the config refuses it."""
    values: dict[str, Any] = config.model_dump()
    names = [*SEARCHED, *(f"{i}.{n}" for i in range(len(config.makers)) for n in SEARCHED_OF_MAKERS)]
    for name in rng.choice(names, rng.integers(1, 5), replace=False).tolist():
        place, _, own = name.rpartition(".")
        holder = values["makers"][int(place)] if place else values
        factor = float(np.exp(0.35 * rng.standard_normal()))
        old = holder[own]
        holder[own] = round(old * factor) if isinstance(old, int) else float(f"{old * factor:.3g}")
    try:
        return WorldConfig.parse(values)
    except (ContractError, ValueError):
        return config


def search(
    config: WorldConfig, recorded: Side, noise: dict[str, float], seconds: float, seed: int, state: Path
) -> None:
    """Look for a better config for ``seconds``; prints every improvement and writes it to ``state``."""
    rng = np.random.default_rng([seed, 1])
    best, best_loss, n = config, np.inf, 0
    begin = time.monotonic()
    candidate = config
    while time.monotonic() - begin < seconds:
        loss = loss_of(found(recorded, simulated_side(candidate.replace(seed=_SEED), _EVENTS), None), noise)
        n += 1
        if loss < best_loss:
            best, best_loss = candidate, loss
            state.write_text(json.dumps(best.model_dump(mode="json"), indent=1) + "\n")
            print(f"{time.monotonic() - begin:6.0f} s  {n:4} candidates  loss {loss:.2f}", flush=True)
        candidate = changed(best, rng)
    print(f"{n} candidates, loss {best_loss:.2f}")


def main() -> None:
    """Search, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("day")
    parser.add_argument("state", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    config = WorldConfig()
    if given.state.exists():
        config = WorldConfig.parse(json.loads(given.state.read_text()))
    recorded = measure_side(Dataset.open(given.dataset), [given.day])
    times = drawn_units(recorded.units.n, _DRAWS, _DRAW_SEED)
    measures = found(recorded, simulated_side(config.replace(seed=_SEED), _EVENTS), times)
    noise = {name: each["noise"] for name, each in measures.items() if each["noise"]}
    if given.show:
        for name, each in measures.items():
            print(
                f"{name:40}", *(_short(each[key]) for key in ("distance", "noise", "recorded", "simulated"))
            )
        print(f"loss {loss_of(measures, noise):.2f}")
        return
    search(config, recorded, noise, given.seconds, given.seed, given.state)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "[" + " ".join(f"{v:.4g}" for v in value.values()) + "]"
    return "-" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
