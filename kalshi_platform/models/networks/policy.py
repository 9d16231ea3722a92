"""A trained policy as a plain class: no Ray, no RLlib, nothing unpickled.

Owns       the files ``policy.json`` (what it is) and ``policy.pt`` (its weights) and acting with them.
Invariant  a policy refuses data whose feature table differs from the one it was trained on.
"""

import json
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.networks.actions import best_actions, mask_logits, sample_actions
from kalshi_platform.models.networks.history import History, HistoryCodes
from kalshi_platform.models.networks.networks import PolicyNetwork, Slots
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.replay.account import N_ACTIONS
from kalshi_platform.simulation.replay.layout import Blocks

SPEC_FILE: Final = "policy.json"
WEIGHTS_FILE: Final = "policy.pt"


class FrozenPolicy:
    """Acts on batches of flat observations; weights never change.

    History windows come either from ``history`` and the ``rows`` the slots stand at (replay; codes of rows
    that did not change since the last call are kept) or as ``windows`` (live). Levels without history take
    neither. One instance serves one thread.
    """

    def __init__(self, network: PolicyNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        self.spec = network.spec
        self._codes: HistoryCodes | None = None
        self._temporal: np.ndarray | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the policy in ``folder``: a checkpoint, or a training run, of which the best one is taken."""
        folder = Path(folder)
        if not (folder / SPEC_FILE).exists() and (folder / "best" / SPEC_FILE).exists():
            folder = folder / "best"
        network = PolicyNetwork(read_spec(folder))
        weights = read_tensors(folder / WEIGHTS_FILE)
        try:
            network.load_state_dict(weights)
        except RuntimeError as err:
            raise DataError(
                f"{folder / WEIGHTS_FILE} does not fit {folder / SPEC_FILE}: {err}; "
                "the two files are not of the same policy"
            ) from None
        return cls(network)

    def save(self, folder: Path) -> None:
        """Write the policy's two files into ``folder``."""
        (folder / SPEC_FILE).write_text(self.spec.model_dump_json(indent=1) + "\n")
        torch.save(self.network.state_dict(), folder / WEIGHTS_FILE)

    def require_features(self, feature_digest: str, groups: tuple[str, ...]) -> None:
        """Refuse data whose features are not the ones this policy was trained on."""
        self.spec.require_features(feature_digest, groups)

    def act(
        self,
        flat: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        history: History | None = None,
        windows: np.ndarray | None = None,
        deterministic: bool = True,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Actions (N, S) int8 for ``flat`` (N, width).

        ``rows`` (N, S) int32 with ``history``, or ``windows`` (N, S, W, H); ``rng`` draws when not
        ``deterministic``.
        """
        logits, _, mask = self._forward(flat, rows, history, windows)
        actions = np.empty(logits.shape[:2], np.int8)
        if deterministic:
            best_actions(logits.numpy(), mask.numpy(), actions)
            return actions
        if rng is None:
            raise ContractError("act(deterministic=False) needs rng: the generator that draws the actions")
        sample_actions(
            logits.numpy(),
            mask.numpy(),
            rng.random(actions.shape),
            actions,
            np.empty(actions.shape, np.float32),
        )
        return actions

    def action_probabilities(
        self,
        flat: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        history: History | None = None,
        windows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Probabilities (N, S, N_ACTIONS) float32; arguments as in :meth:`act`."""
        logits, _, mask = self._forward(flat, rows, history, windows)
        probabilities: np.ndarray = mask_logits(logits, mask).softmax(-1).numpy()
        return probabilities

    def values(
        self,
        flat: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        history: History | None = None,
        windows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Estimated value (N,) of each observation; arguments as in :meth:`act`."""
        _, value, _ = self._forward(flat, rows, history, windows)
        result: np.ndarray = value.sum(dim=1).numpy()
        return result

    def regime_probabilities(
        self,
        flat: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        history: History | None = None,
        windows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Probability (N, S, R) of each regime, 0 in an empty slot; arguments as in :meth:`act`.

        ContractError for a level that tells no regimes apart.
        """
        if not self.spec.level.n_regimes:
            raise ContractError(f"level {self.spec.level.name!r} has no regimes; advanced and complex do")
        seen, slots = self._represent(flat, rows, history, windows)
        assert slots.regimes is not None
        result: np.ndarray = (slots.regimes * seen.slot_mask[..., None]).numpy()
        return result

    def _forward(
        self,
        flat: np.ndarray,
        rows: np.ndarray | None,
        history: History | None,
        windows: np.ndarray | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen, slots = self._represent(flat, rows, history, windows)
        with torch.no_grad():
            logits, value = self.network.judge(slots, seen.slot_mask)
        return logits, value, seen.action_mask

    def _represent(
        self,
        flat: np.ndarray,
        rows: np.ndarray | None,
        history: History | None,
        windows: np.ndarray | None,
    ) -> tuple[Blocks[torch.Tensor], Slots]:
        if flat.ndim != 2 or flat.shape[1] != self.spec.width:
            raise ContractError(
                f"observations have shape {flat.shape}, the policy reads (N, {self.spec.width}): "
                f"{self.spec.n_slots} slots x ({len(self.spec.market)} market + "
                f"{len(self.spec.portfolio)} portfolio + 1 + {N_ACTIONS})"
            )
        observation = self.spec.split(torch.from_numpy(flat))
        slot_mask = observation.slot_mask
        codes: torch.Tensor | None
        with torch.no_grad():
            if windows is not None and self.spec.reads_history:
                distinct = torch.from_numpy(np.ascontiguousarray(windows)).flatten(0, 1)  # (N * S, W, H)
                codes = (
                    self.network.encode_history(distinct).view(*slot_mask.shape, -1) * slot_mask[..., None]
                )
            else:
                codes = self._history_codes(len(flat), rows, history)
            slots = self.network.represent(observation.market, codes, observation.portfolio, slot_mask)
        return observation, slots

    def _history_codes(self, n: int, rows: np.ndarray | None, history: History | None) -> torch.Tensor | None:
        if not self.spec.reads_history:
            return None
        if rows is None or history is None:
            raise ContractError(
                f"level {self.spec.level.name!r} reads history: pass windows, or rows together with history"
            )
        if self._codes is None or self._temporal is not history.temporal or self._codes.n_envs != n:
            self._codes, self._temporal = HistoryCodes(self.network, history, n), history.temporal
        return self._codes.at(rows)


def read_spec(folder: Path) -> PolicySpec:
    """The record of the policy in ``folder``; a DataError says what is wrong with the file."""
    path = Path(folder) / SPEC_FILE
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {folder} holds no policy") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise DataError(f"{path} is not JSON ({err}); the checkpoint is damaged, take another") from None
    try:
        return PolicySpec.parse(values)
    except ContractError as err:
        raise DataError(f"{path}: {err}") from None


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file written by ``torch.save``, without unpickling any other object."""
    try:
        tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: the checkpoint is incomplete") from None
    except Exception as err:  # torch raises a dozen kinds for a damaged file; all mean the same here
        raise DataError(
            f"{path} cannot be read ({type(err).__name__}: {str(err)[:200]}); take another checkpoint"
        ) from None
    return tensors
