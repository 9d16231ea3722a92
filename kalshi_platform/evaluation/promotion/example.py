"""Takes the observation that a service offers as its example from the events that judged the model."""

from datetime import UTC, datetime
from typing import Final

import numpy as np

from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.examples import Example, ExampleMarket
from kalshi_platform.models.rules.baselines import DoNothing
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank, BankArrays
from kalshi_platform.simulation.replay.pages import reading
from kalshi_platform.simulation.rollout.stepper import Stepper

_ENVS: Final = 16
_STEPS: Final = 32
#: Rows of history kept at least: a smaller network of its tiers may read more of them than the model does.
_HISTORY: Final = 16


def judged_example(bank: Bank, env: EnvConfig, spec: PolicySpec, where: str) -> Example:
    """Example from the first steps of the bank's episodes, played by holding; ``where`` names the dataset.

    It is the fullest observation, the latest of those. DataError where no step shows a market.
    """
    table = event_episodes(bank, env.n_slots)
    played = ReplayVectorEnv(bank, FixedEpisodes(table), env, min(_ENVS, table.number.size))
    stepper = Stepper(played, DoNothing(played.layout))
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for _ in range(_STEPS):
        shown = (stepper.rows >= 0).sum(axis=1)
        n = int(shown.argmax())
        if shown[n] and (best is None or shown[n] >= best[0]):
            best = int(shown[n]), stepper.flat[n].copy(), stepper.rows[n].copy()
        if played.done:
            break
        stepper.step()
    if best is None:
        raise DataError(f"{where}: no observation of its episodes shows a market")
    return _as_example(bank, spec, best[1], best[2], where)


def _as_example(bank: Bank, spec: PolicySpec, flat: np.ndarray, rows: np.ndarray, where: str) -> Example:
    with reading(bank.arrays, rows) as arrays:
        return _shown(bank, arrays, spec, flat, rows, where)


def _shown(
    bank: Bank, arrays: BankArrays, spec: PolicySpec, flat: np.ndarray, rows: np.ndarray, where: str
) -> Example:
    blocks = spec.layout.split(flat[None])
    window = max(spec.level.window, _HISTORY) if spec.n_history else 0
    windows = np.zeros((rows.size, window, arrays.temporal.shape[1]), np.float32)
    if window:
        gather_windows(arrays.temporal, arrays.age, rows.astype(np.int64), windows)
    starts = arrays.segments["start"]
    markets, events, latest_ns, sources = [], [], 0, set()
    for slot in np.flatnonzero(rows >= 0):
        row = rows[slot]
        info = bank.markets[arrays.segments["market"][np.searchsorted(starts, row, side="right") - 1]]
        numbers = np.concatenate([blocks.market[0, slot], blocks.portfolio[0, slot]])
        known = min(int(arrays.age[row]) + 1, window)
        allowed = spec.layout.action_mask(flat[None])[0, slot] > 0.5
        markets.append(
            ExampleMarket(
                ticker=info.ticker, row=_plain(numbers),
                history=tuple(_plain(line) for line in windows[slot, window - known :, : spec.n_history]),
                allowed=tuple(ACTION_NAMES[action] for action in np.flatnonzero(allowed)),
            )
        )  # fmt: skip
        events.append(info.event)
        sources.add(info.provenance)
        latest_ns = max(latest_ns, int(arrays.rows["recv_ns"][row]))
    at = datetime.fromtimestamp(latest_ns // NS_PER_SECOND, UTC).isoformat()
    source = f"{'/'.join(sorted(sources))} data, {where}, {', '.join(dict.fromkeys(events))} at {at}"
    return Example(source=source, columns=(*spec.market, *spec.portfolio), markets=tuple(markets))


def _plain(numbers: np.ndarray) -> tuple[float, ...]:
    """The shortest decimals that are these float32 again."""
    return tuple(float(str(number)) for number in numbers.astype(np.float32))
