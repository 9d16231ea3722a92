"""Captures shown to replay and to the live half, for tests that the two observe the same bits."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pydantic_core import from_json

from kalshi_platform.data.dataset.blocks import PARTS
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features import history
from kalshi_platform.data.features.spec import FEATURE_SETS, TEMPORAL
from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.market_meta import MarketRecord, records_from_rows
from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.replay.state import CLOSED, ENDED
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate
from made.replay_bank import schedule

ALL_GROUPS = FEATURE_SETS
#: now_ns -> (flat (width,), windows (S, W, H)) of one group, the last of each instant.
Seen = dict[int, tuple[np.ndarray, np.ndarray]]


def simulated(tmp_path: Path, **config) -> Path:
    """A small simulated capture; returns its file."""
    small = {"n_events": 1, "messages_per_market": 120, "single_share": 0.0, "gap_share": 0.0}
    return simulate(SimConfig(**{**small, **config}), tmp_path / "recording", file_format="capture").events


def in_order(frames: Iterable[Frame]) -> list[Frame]:
    """Frames as one client receives them: simulated events lie one after the other in their file."""
    return sorted(frames, key=lambda frame: frame.recv_ns)


def built(capture: Path, out: Path, groups=ALL_GROUPS) -> tuple[Dataset, list[Bank]]:
    """The dataset of a capture (and the metadata beside it) and the banks of its splits."""
    metadata = [p for p in [capture.parent / "markets.parquet"] if p.is_file()]
    build_dataset([capture, *metadata], str(out), BuildConfig(workers=0))
    dataset = Dataset.open(str(out))
    banks = [open_bank(str(out), split, groups) for split in PARTS if dataset.entries(split)]
    return dataset, banks


def records_of(capture: Path) -> list[MarketRecord]:
    """The metadata beside a simulated capture."""
    rows = pq.read_table(capture.parent / "markets.parquet").to_pylist()
    return list(records_from_rows(rows, "markets.parquet", Counter()))


def live(books: LiveBooks, frames: Iterable[Frame]) -> tuple[list[Seen], list[str]]:
    """What every group of ``books`` shows while it is fed, and what was refused."""
    seen: list[Seen] = []
    refused = []
    for number, frame in enumerate(frames, start=1):
        try:
            touched = books.feed(frame._replace(line=number), from_json(frame.raw))
        except DataError as err:
            refused.append(str(err))
            touched = range(len(books.groups))
        while len(seen) < len(books.groups):
            seen.append({})
        for g in touched:
            batch = books.groups[g].observe(books.now_ns)
            seen[g][books.now_ns] = batch.flat[0], batch.windows[0]
    return seen, refused


def replayed(bank: Bank, segments: tuple[int, ...], config: EnvConfig, window: int) -> Seen:
    """What the environment shows while it holds, until a slot's data end."""
    episodes = FixedEpisodes(schedule(bank, *segments))
    env = ReplayVectorEnv(bank, episodes, config, 1)
    flat, rows = env.buffers()
    out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
    env.reset(flat, rows)
    seen: Seen = {}
    hold = np.full((1, config.n_slots), HOLD, np.int8)
    while not env.done:
        windows = np.empty((config.n_slots, window, len(TEMPORAL)), np.float32)
        history.gather_windows(bank.arrays.temporal, bank.arrays.age, rows[0].astype(np.int64), windows)
        seen[int(env.now_ns[0])] = flat[0].copy(), windows
        env.step(hold, flat, rows, *out)
        if out[1][0] or out[2][0] or np.isin(env.slots["state"][0], (CLOSED, ENDED)).any():
            break
    return seen


def assert_same(replay: Seen, shown: Seen) -> None:
    """Every observation of replay was shown live, to the bit."""
    for now_ns, (flat, windows) in replay.items():
        np.testing.assert_array_equal(shown[now_ns][0], flat)
        np.testing.assert_array_equal(shown[now_ns][1], windows)
