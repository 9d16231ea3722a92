"""The Gymnasium view of one replay environment: named blocks instead of one flat vector.

Importing this module registers it, so that Gymnasium makes one of a dataset by its name:
``gymnasium.make("kalshi_platform/Replay-v1", dataset="runs/data", n_slots=2, hold_masked=True)``.
"""

from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from kalshi_platform.data.dataset.split import Split
from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig, EpisodeMode
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import EpisodeSource, RandomEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.replay.pages import reading

Observation = dict[str, np.ndarray]


class ReplayEnv(gym.Env[Observation, np.ndarray]):
    """One environment of :class:`ReplayVectorEnv`.

    Observation  market (S, F), history (S, W, H; absent where W = 0), portfolio (S, P), slot_mask (S,),
                 action_mask (S, A); float32
    Action       (S,) integers: 0 HOLD, 1 BUY_YES, 2 SELL_YES, 3 BUY_NO, 4 SELL_NO; a masked one raises
                 ContractError from :meth:`step` unless ``hold_masked``, where it counts as HOLD; anything
                 but whole numbers of these raises ContractError always
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - the name and type are Gymnasium's

    def __init__(
        self,
        bank: Bank,
        config: EnvConfig | None = None,
        episodes: EpisodeConfig | None = None,
        curriculum: CurriculumConfig | None = None,
        window: int = 0,
        seed: int = 0,
        hold_masked: bool = False,
        source: EpisodeSource | None = None,
    ) -> None:
        self._bank = bank
        self._config = config or EnvConfig()
        self._episode_config = episodes or EpisodeConfig()
        self._curriculum = curriculum or CurriculumConfig()
        self._window = window
        self._hold_masked = hold_masked
        self._fixed_source = source
        self._build(seed)
        layout = self._vector.layout
        s, f, p, h = layout.n_slots, layout.n_market, layout.n_portfolio, bank.arrays.temporal.shape[1]
        blocks: dict[str, spaces.Space[Any]] = {
            "market": spaces.Box(-1.0, 1.0, (s, f), np.float32),
            "portfolio": spaces.Box(-1.0, 1.0, (s, p), np.float32),
            "slot_mask": spaces.Box(0.0, 1.0, (s,), np.float32),
            "action_mask": spaces.Box(0.0, 1.0, (s, N_ACTIONS), np.float32),
        }
        if window:
            blocks["history"] = spaces.Box(-1.0, 1.0, (s, window, h), np.float32)
        self.observation_space: spaces.Space[Observation] = spaces.Dict(dict(blocks))
        self.action_space: spaces.Space[np.ndarray] = spaces.MultiDiscrete([N_ACTIONS] * s)

    def _build(self, seed: int) -> None:
        source = self._fixed_source or RandomEpisodes(
            self._bank, self._episode_config, self._curriculum, seed
        )
        self._vector = ReplayVectorEnv(self._bank, source, self._config, 1, seed=seed)
        self._flat, self._rows = self._vector.buffers()
        self._reward = np.zeros(1, np.float32)
        self._terminated = np.zeros(1, bool)
        self._truncated = np.zeros(1, bool)
        self._at_start = False  # the buffers hold the first observation of an episode nobody has seen yet
        self._ended = True

    @property
    def vector(self) -> ReplayVectorEnv:
        """The vector environment behind this view."""
        return self._vector

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next episode; with a seed, the first episode of the sequence that the seed names.

        ContractError where a fixed list of episodes has been played to its end.
        """
        super().reset(seed=seed)
        if seed is not None and self._fixed_source is None:
            self._build(seed)
        if not self._at_start:  # the vector environment restarts by itself when an episode ends
            self._vector.reset(self._flat, self._rows)
        if self._vector.done:
            raise ContractError("no episode is left in the given list; give a longer one or start afresh")
        self._at_start, self._ended = False, False
        return self._named(self._flat, self._rows), {}

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action a slot; returns Gymnasium's (observation, reward, terminated, truncated, info)."""
        if self._ended:
            raise ContractError("step() after the end of an episode: call reset() first")
        actions = self._whole(action)
        if self._hold_masked:
            allowed = np.take_along_axis(self._vector.slots["mask"][0], actions.T.astype(np.int64), 1)[:, 0]
            actions[0, allowed == 0] = HOLD
        self._vector.step(actions, self._flat, self._rows, self._reward, self._terminated, self._truncated)
        ended, cut = bool(self._terminated[0]), bool(self._truncated[0])
        self._at_start = self._ended = ended or cut
        flat, rows = (
            (self._vector.final_flat, self._vector.final_rows) if ended or cut else (self._flat, self._rows)
        )
        return self._named(flat, rows), float(self._reward[0]), ended, cut, {}

    def action_masks(self) -> np.ndarray:
        """Actions that may be taken now, (S * A,) bool, slot after slot, as sb3-contrib asks."""
        return np.asarray(self._vector.slots["mask"][0] != 0).reshape(-1)

    def _whole(self, action: Any) -> np.ndarray:
        """``action`` as (1, S) i8; ContractError where it holds anything but whole numbers of actions."""
        s = self._vector.n_slots
        try:
            actions = np.asarray(action)
        except ValueError:  # lists of unequal lengths
            actions = np.empty(0, object)
        if actions.dtype.kind not in "iu":
            raise ContractError(
                f"action {action!r} is {actions.dtype}: give {s} whole numbers 0..{N_ACTIONS - 1}, one a slot"
            )
        if actions.size != s or (actions < 0).any() or (actions >= N_ACTIONS).any():
            raise ContractError(
                f"action {action!r}; expected {s} whole numbers 0..{N_ACTIONS - 1}, one a slot"
            )
        return actions.reshape(1, s).astype(np.int64)

    def _named(self, flat: np.ndarray, rows: np.ndarray) -> Observation:
        """Observation as named blocks, copied, so that the caller never holds a live buffer."""
        blocks = self._vector.layout.split(flat)
        named = {name: block[0].copy() for name, block in blocks._asdict().items()}
        if self._window:
            arrays = self._bank.arrays
            shape = (self._vector.n_slots, self._window, arrays.temporal.shape[1])
            history = np.zeros(shape, np.float32)
            with reading(arrays, rows[0]) as filled:
                gather_windows(filled.temporal, filled.age, rows[0].astype(np.int64), history)
            named["history"] = history
        return named


#: Name under which Gymnasium makes an environment of a dataset.
ENVIRONMENT: Final = "kalshi_platform/Replay-v1"


def make_replay_env(
    dataset: str,
    split: Split = "train",
    mode: EpisodeMode = "concurrent",
    min_steps: int = 500,
    max_steps: int = 2_000,
    window: int = 0,
    seed: int = 0,
    hold_masked: bool = False,
    **config: Any,
) -> ReplayEnv:
    """Environment over the episodes of one split of the dataset at ``dataset``, a folder or ``s3://``.

    ``config``: fields of ``EnvConfig``, such as ``n_slots``, ``groups`` or ``order_style``. ContractError for
    the test split, which opens only through the final evaluation, and for a field or value that is none.
    """
    if split == "test":
        raise ContractError(
            "split='test' opens only through the final evaluation (kalshi-platform evaluate --split test "
            "--final): choose train or validation"
        )
    settings = EnvConfig.parse(config)
    episodes = EpisodeConfig.parse({"mode": mode, "min_steps": min_steps, "max_steps": max_steps})
    bank = open_bank(dataset, split, settings.groups)
    return ReplayEnv(bank, settings, episodes, window=window, seed=seed, hold_masked=hold_masked)


if ENVIRONMENT not in gym.registry:
    gym.register(ENVIRONMENT, entry_point=f"{__name__}:{make_replay_env.__name__}")
