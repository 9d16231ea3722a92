"""Request bodies from a dataset: the groups of markets that a client would have asked about, by time.

Owns       which moments of a split are sent, and what a request says of them: features, history, actions that
           are allowed, prices and fees for the rules.
Way        the events are played as in an evaluation, a decision at every message, and every action is HOLD:
           a request is one of a client without a position. Evenly spread moments are kept.
Not        the test split, which only a final judgement opens; nor sending (open_loop.py).
"""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.data.features.spec import FEATURE_DIGEST, SPEC, features_of
from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.units import NO_PRICE, NO_TIME, NS_PER_MS, UNKNOWN_QTY
from kalshi_platform.models.registry.provenance import count_data, counts_words
from kalshi_platform.models.rules.baselines import DoNothing
from kalshi_platform.models.rules.filter_inputs import exclusive_sets, read_inputs
from kalshi_platform.models.rules.trading_filter import allocate_inputs
from kalshi_platform.serving.api.packed import pack
from kalshi_platform.serving.loadtest.result import SentRows
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes
from kalshi_platform.simulation.envs.state import Episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import origins
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.rollout.stepper import Stepper

_ENVS: Final = 32
#: Rows that are played at most: of a larger split, events evenly spread over it.
_MOST_ROWS: Final = 400_000


class DatasetRows(NamedTuple):
    """Bodies of requests without ids, in order of time, and where they are from."""

    bodies: list[dict[str, Any]]
    said: SentRows


def dataset_rows(uri: str, split: Any, info: Mapping[str, Any], most: int) -> DatasetRows:
    """At most ``most`` requests about groups of a dataset, for the model that ``GET /v1/model`` describes.

    ContractError where the model reads other features than this program or the dataset has; DataError where
    the split holds nothing to show.
    """
    _require_known(info)
    env, dataset = _environment(info), Dataset.open(uri)
    bank = open_bank(uri, split, env.groups)
    table = _spread(event_episodes(bank, env.n_slots), bank)
    bodies = _in_time(_played(bank, table, env, info, most))
    if not bodies:
        raise DataError(f"{uri}: no moment of its {split} split shows a market; choose another split")
    data = counts_words(count_data(origins(bank.markets)))
    words = (
        f"{len(bodies):,} groups of markets from the {split} split of {uri} ({data}), in order of time, "
        "asked by a client without a position"
    )
    said = SentRows(
        kind="dataset", words=words, groups=len(bodies), dataset=uri, dataset_digest=dataset.digest,
        split=split, data=data,
    )  # fmt: skip
    return DatasetRows(bodies, said)


def _require_known(info: Mapping[str, Any]) -> None:
    """Refuse a model whose columns this program cannot compute."""
    if info["feature_digest"] != FEATURE_DIGEST:
        raise ContractError(
            f"the served model reads feature table {info['feature_digest']}, this program computes "
            f"{FEATURE_DIGEST}: use the release that serves it, or leave --dataset away"
        )


def _environment(info: Mapping[str, Any]) -> EnvConfig:
    """Environment whose observation has the columns and slots that the model reads."""
    by_name = {feature.name: feature.feature_set for feature in SPEC}
    sets = dict.fromkeys(by_name[column["name"]] for column in info["columns"])
    groups = tuple(name for name in sets if name != "portfolio")
    return EnvConfig(n_slots=info["n_slots"], groups=groups, decision_interval_ms=0)


def _spread(table: Episodes, bank: Bank) -> Episodes:
    """Every k-th episode, so that all of them hold about ``_MOST_ROWS`` rows at most."""
    segments = bank.arrays.segments
    lengths = np.where(table.segment >= 0, segments["stop"][table.segment] - table.start, 0)
    apart = max(1, math.ceil(int(lengths.sum()) / _MOST_ROWS))
    return Episodes(*(column[::apart] for column in table))


class _Moment(NamedTuple):
    at_ns: int
    body: dict[str, Any]


def _played(bank: Bank, table: Episodes, env: EnvConfig, info: Mapping[str, Any], most: int) -> list[_Moment]:
    """Play the episodes and keep evenly spread moments, at most about ``most``."""
    stage = ReplayVectorEnv(bank, FixedEpisodes(table), env, min(_ENVS, table.number.size))
    stepper = Stepper(stage, DoNothing(stage.layout))
    writer = _Writer(bank, stage, info)
    lengths = np.where(table.segment >= 0, bank.arrays.segments["stop"][table.segment] - table.start, 0)
    apart = max(1, math.ceil(int(lengths.sum()) / most))
    found, seen = [], 0
    while True:
        shown = np.flatnonzero((stepper.rows >= 0).any(axis=1))
        wanted = shown[(seen + np.arange(shown.size)) % apart == 0]
        seen += shown.size
        if wanted.size:
            found += writer.moments(stepper, wanted)
        if stage.done:
            return found
        stepper.step()


def _in_time(found: list[_Moment]) -> list[dict[str, Any]]:
    return [moment.body for moment in sorted(found, key=lambda moment: moment.at_ns)]


class _Writer:
    """Writes observations of an environment as bodies of ``POST /v1/decide``."""

    def __init__(self, bank: Bank, stage: ReplayVectorEnv, info: Mapping[str, Any]) -> None:
        self._bank, self._stage = bank, stage
        portfolio = [feature.name for feature in features_of(["portfolio"])]
        self._columns = [*bank.feature_names, *portfolio]
        if sorted(self._columns) != sorted(column["name"] for column in info["columns"]):
            raise ContractError(
                f"the served model reads the columns {sorted(c['name'] for c in info['columns'])}, the "
                f"dataset gives {sorted(self._columns)}: it was trained with other feature sets"
            )
        self._digest, self._window = str(info["feature_digest"]), int(info["window"])
        temporal = [feature.name for feature in features_of(["temporal"])]
        self._history = [temporal.index(name) for name in info["history_columns"]]
        self._sets = exclusive_sets(bank)
        self._inputs = allocate_inputs(stage.n_envs, stage.n_slots)

    def moments(self, stepper: Stepper[DoNothing], wanted: np.ndarray) -> list[_Moment]:
        """The present observations of the environments ``wanted`` (K,)."""
        stage, arrays = self._stage, self._stage.arrays
        read_inputs(arrays, stage.envs, stage.slots, stage.config.execution, self._sets, self._inputs)
        parts = stage.layout.split(stepper.flat)
        found = []
        for n in wanted.tolist():
            slots = np.flatnonzero(stepper.rows[n] >= 0)
            rows = stepper.rows[n, slots].astype(np.int64)
            numbers = np.concatenate([parts.market[n, slots], parts.portfolio[n, slots]], axis=1)
            histories = self._histories(rows)
            masks = parts.action_mask[n] > 0.5
            markets = [
                {
                    "id": self._ticker(int(row)), "state": "active", "row": pack(numbers[k]),
                    "history": None if histories is None else pack(histories[k][-self._known(int(row)) :]),
                    "allowed": [ACTION_NAMES[a] for a in np.flatnonzero(masks[slots[k]])],
                    **self._for_rules(n, int(slots[k])),
                }
                for k, row in enumerate(rows)
            ]  # fmt: skip
            body = {
                "request_id": "", "feature_digest": self._digest, "columns": self._columns,
                "groups": [{"markets": markets}],
            }  # fmt: skip
            found.append(_Moment(int(arrays.rows["recv_ns"][rows].max()), body))
        return found

    def _ticker(self, row: int) -> str:
        segments = self._bank.arrays.segments
        at = int(np.searchsorted(segments["start"], row, side="right")) - 1
        return self._bank.markets[segments["market"][at]].ticker

    def _known(self, row: int) -> int:
        """Number of history rows that the market has at ``row``; those before are the beginning's zeros."""
        return min(int(self._stage.arrays.age[row]) + 1, self._window)

    def _histories(self, rows: np.ndarray) -> np.ndarray | None:
        """Windows (K, W, H) f4 at ``rows`` (K,); None where the model reads no history."""
        if not self._window:
            return None
        temporal, age = self._stage.arrays.temporal, self._stage.arrays.age
        windows = np.zeros((rows.size, self._window, temporal.shape[1]), np.float32)
        gather_windows(temporal, age, rows, windows)
        return windows[:, :, self._history]

    def _for_rules(self, n: int, slot: int) -> dict[str, Any]:
        """Values for the rules that stand before the networks; what is not known is left out."""
        inputs = self._inputs
        found: dict[str, Any] = {"taker_rate_e6": int(inputs.taker_rate_e6[n, slot])}
        for name, value, unknown in (
            ("bid_e4", inputs.bid_e4, NO_PRICE),
            ("ask_e4", inputs.ask_e4, NO_PRICE),
            ("bid_size_e2", inputs.bid_size_e2, UNKNOWN_QTY),
        ):
            if value[n, slot] != unknown:
                found[name] = int(value[n, slot])
        if inputs.age_ns[n, slot] != NO_TIME:
            found["age_ms"] = int(inputs.age_ns[n, slot]) // NS_PER_MS
        if inputs.exclusive_set[n, slot] >= 0:
            found["exclusive_set"] = f"SET-{inputs.exclusive_set[n, slot]}"
        return found
