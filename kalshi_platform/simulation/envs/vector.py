"""Many replay environments stepped in one compiled call, into buffers the caller owns.

Finished environments restart in the same step. The outputs then hold the first observation of the next
episode; ``final_flat`` and ``final_rows`` hold the last one of the finished episode.
Environments without a further episode stand still: reward 0, every slot empty.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import EpisodeSource, empty_table, require_inside_segments
from kalshi_platform.simulation.envs.kernel import OK, observe_kernel, reset_kernel, step_kernel
from kalshi_platform.simulation.envs.records import EpisodeRecords, allocate_records, join_records
from kalshi_platform.simulation.envs.state import Episodes, StepParams
from kalshi_platform.simulation.replay.bank import Bank, BankArrays
from kalshi_platform.simulation.replay.layout import Layout, layout_of
from kalshi_platform.simulation.replay.observation import N_PORTFOLIO
from kalshi_platform.simulation.replay.pages import RowLease, pages_of
from kalshi_platform.simulation.replay.state import EMPTY, allocate


class ReplayVectorEnv:
    """``n_envs`` environments over one bank.

    Attributes callers may read between steps: ``envs`` (N,) ENV_DTYPE, ``slots`` (N, S) SLOT_DTYPE,
    ``final_flat`` (N, width) and ``final_rows`` (N, S); ``episodes``, the source they are drawn from.
    """

    def __init__(
        self, bank: Bank, episodes: EpisodeSource, config: EnvConfig, n_envs: int, seed: int = 0
    ) -> None:
        """Make environments; ``seed`` names the latencies that are drawn (setting ``latency_sigma``)."""
        if n_envs < 1:
            raise ContractError(f"n_envs={n_envs}; at least one environment is needed")
        self.bank = bank
        self.config = config
        self.n_envs = n_envs
        self.n_slots = config.n_slots
        self.layout: Layout = layout_of(config.n_slots, len(bank.feature_names), N_PORTFOLIO)
        self.episodes = episodes
        pages = pages_of(bank.arrays)
        self._lease = None if pages is None else RowLease(pages)
        self._kept_for: tuple[int, int] | None = None
        #: Arrays in which the rows of the present observations and of waiting episodes can be read.
        self.arrays: BankArrays = bank.arrays if pages is None else pages.raw
        self._execution, self._sending = config.execution, config.sending._replace(seed=seed)
        self._step = StepParams(
            interval_ns=config.interval_ns,
            capital_e6=config.capital_e6,
            holding_cost_per_day=config.holding_cost_per_day,
            reward_scale=config.reward_scale,
        )
        self.envs, self.slots = allocate(n_envs, self.n_slots)
        self.final_flat = np.zeros((n_envs, self.layout.width), np.float32)
        self.final_rows = np.full((n_envs, self.n_slots), -1, np.int64)
        self._table: Episodes = empty_table(0, self.n_slots)
        self._used = 0
        self._records = allocate_records(4 * n_envs * self.n_slots)
        self._n_records = 0
        self._drained: list[EpisodeRecords] = []
        self._started = False

    @property
    def equity_e6(self) -> np.ndarray:
        """Equity of each environment after the last step, (N,), 1e-6 dollar."""
        return np.asarray(self.envs["equity_e6"])

    @property
    def now_ns(self) -> np.ndarray:
        """Clock of each environment, (N,)."""
        return np.asarray(self.envs["now_ns"])

    @property
    def episode(self) -> np.ndarray:
        """Number of the episode that each environment plays, (N,)."""
        return np.asarray(self.envs["episode"])

    @property
    def done(self) -> bool:
        """True when no environment has an episode left."""
        return not self.envs["active"].any()

    def buffers(self, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Fresh (flat, rows) output arrays for one step, or with a leading axis of ``steps``."""
        lead = () if steps is None else (steps,)
        flat = np.zeros((*lead, self.n_envs, self.layout.width), np.float32)
        return flat, np.full((*lead, self.n_envs, self.n_slots), -1, np.int64)

    def reset(self, flat: np.ndarray, rows: np.ndarray) -> None:
        """Start every environment on a new episode and write the first observations."""
        self._started = True
        self._refill()
        self._used = reset_kernel(
            self.arrays,
            self._table,
            self._used,
            self.envs,
            self.slots,
            self._execution,
            self._step,
            flat,
            rows,
        )

    def step(
        self,
        actions: np.ndarray,
        flat: np.ndarray,
        rows: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Take ``actions`` (N, S); write observations, rewards (N,) f4 and ends (N,) bool in place.

        ContractError for an action that the mask of the observation forbids, and for actions that are no
        integers; no environment is stepped then.
        """
        actions = self._checked(actions)
        self._refill()
        self._used, self._n_records, status = step_kernel(
            self.arrays,
            self._table,
            self._used,
            self.envs,
            self.slots,
            self._execution,
            self._sending,
            self._step,
            actions,
            flat,
            rows,
            reward,
            terminated,
            truncated,
            self.final_flat,
            self.final_rows,
            self._records,
            self._n_records,
        )
        if status != OK:
            raise ContractError(self._refusal(status, actions[status]))
        if self._n_records + self.n_envs * self.n_slots > self._records.episode.size:
            self._move_records()

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        """Actions as the kernel takes them; ContractError for a wrong shape or before the first reset."""
        if not self._started:
            raise ContractError("step() before reset(): there is no episode to step")
        if actions.shape != (self.n_envs, self.n_slots):
            raise ContractError(
                f"actions have shape {actions.shape}; expected {(self.n_envs, self.n_slots)}, one a slot"
            )
        if actions.dtype.kind not in "iu":
            raise ContractError(f"actions are {actions.dtype}: give integers 0..{N_ACTIONS - 1}, one a slot")
        if actions.dtype != np.int8:  # out of range stays out of range, it must not wrap round
            return np.clip(actions, -1, N_ACTIONS).astype(np.int8)
        return actions

    def _refusal(self, n: int, actions: np.ndarray) -> str:
        mask = self.slots["mask"][n]
        bad = [
            f"slot {s}: action {a}, available {np.flatnonzero(mask[s]).tolist()}"
            for s, a in enumerate(actions.tolist())
            if not (0 <= a < N_ACTIONS and mask[s, a])
        ]
        return f"environment {n} was given actions its mask forbids ({'; '.join(bad)}); read the action mask"

    def _refill(self) -> None:
        """Draw episodes, so that one waits for every environment that may end in the coming step."""
        self._draw()
        if self._lease is None:
            return
        self._lease.require_own_process()
        if self._kept_for != (id(self._table), self._used):
            self._keep(self._lease)

    def _keep(self, lease: RowLease) -> None:
        """Keep the rows filled that a step may read: those of live episodes, and of the next ones."""
        live = self.slots["cursor"][self.slots["state"] != EMPTY]
        waiting = slice(self._used, self._used + self.n_envs)
        following = self._table.start[waiting][self._table.segment[waiting] >= 0]
        lease.keep(np.concatenate([live, following]))
        self._kept_for = id(self._table), self._used

    def _draw(self) -> None:
        left = self._table.number.size - self._used
        if left >= self.n_envs:
            return
        fresh = self.episodes.draw(2 * self.n_envs, self.n_slots)
        if fresh.number.size == 0:
            return
        require_inside_segments(self.bank, fresh)
        kept = (column[self._used :] for column in self._table)
        self._table = Episodes(*(np.concatenate(pair) for pair in zip(kept, fresh, strict=True)))
        self._used = 0

    def _move_records(self) -> None:
        self._drained.append(EpisodeRecords(*(column[: self._n_records].copy() for column in self._records)))
        self._n_records = 0

    def drain_episodes(self) -> EpisodeRecords:
        """Records of the episodes finished since the last call."""
        self._move_records()
        parts, self._drained = self._drained, []
        return join_records(parts)

    def get_state(self) -> dict[str, Any]:
        """Copies of everything that decides the future of the environments, for an exact resume.

        Not included: the state of the source of episodes, and records that were not drained yet.
        """
        return {
            "envs": np.array(self.envs),
            "slots": np.array(self.slots),
            "table": Episodes(*(column[self._used :].copy() for column in self._table)),
        }

    def set_state(self, saved: dict[str, Any]) -> None:
        """Continue exactly at the place where :meth:`get_state` was called, with the same bank and settings.

        ContractError where the numbers of environments or slots differ.
        """
        if any(
            _fields(saved[name]) != _fields(own) for name, own in (("envs", self.envs), ("slots", self.slots))
        ):
            raise ContractError(
                "the saved state has other fields than the environments of this version of the program: "
                "continue with the version that saved it, or begin anew"
            )
        if saved["slots"].shape != self.slots.shape:
            raise ContractError(
                f"the saved state is of {saved['slots'].shape} environments and slots, this has "
                f"{self.slots.shape}: continue with the settings it was saved under"
            )
        self.envs[...] = saved["envs"]
        self.slots[...] = saved["slots"]
        self._table = Episodes(*saved["table"])
        self._used = 0
        self._n_records = 0
        self._drained = []
        self._started = True
        if self._lease is not None:
            self._keep(self._lease)

    def observe(self, flat: np.ndarray, rows: np.ndarray) -> None:
        """Write the present observation of every environment again (after :meth:`set_state`)."""
        observe_kernel(self.arrays, self.envs, self.slots, self._execution, self._step, flat, rows)


def _fields(records: np.ndarray) -> list[tuple[str, np.dtype]]:
    """Names and types of the fields; stored records are packed, those in memory are aligned."""
    fields = records.dtype.fields or {}
    return [(name, kind[0]) for name, kind in fields.items()]
