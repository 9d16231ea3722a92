"""A trained policy as a plain class: no Ray, no RLlib, nothing unpickled.

Owns       the files ``policy.json`` (its spec) and ``policy.pt`` (its weights), and answering with them.
Not        stepping over a bank: ``acting.NetworkPolicy``, which keeps codes from step to step.
Invariant  a policy refuses data whose feature table differs from the one it was trained on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.models.networks.actions import best_actions, mask_logits
from kalshi_platform.models.networks.networks import Answer, PolicyNetwork
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.storage.sealed import MANIFEST, seal, verify

SPEC_FILE: Final = "policy.json"
WEIGHTS_FILE: Final = "policy.pt"


class FrozenPolicy:
    """A policy that answers batches of flat observations and, where the level reads history, their windows.

    Its weights never change.
    """

    def __init__(self, network: PolicyNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        self.spec = network.spec

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Policy in ``folder``: that of a checkpoint, or the best one of a training run.

        Every file of the folder is verified first, also those that are not read here. A DataError names the
        file that is missing, damaged or unknown to the manifest.
        """
        folder = Path(folder)
        if not (folder / SPEC_FILE).exists() and (folder / "best" / SPEC_FILE).exists():
            folder = folder / "best"
        if not (folder / SPEC_FILE).exists() and not (folder / MANIFEST).exists():
            raise DataError(f"{folder / SPEC_FILE} does not exist: {folder} holds no policy")
        verify(folder)
        network = PolicyNetwork(read_spec(folder))
        weights = read_tensors(folder / WEIGHTS_FILE)
        try:
            network.load_state_dict(weights)
        except RuntimeError as err:
            told = bounded_message(str(err), 250)
            raise DataError(
                f"{folder / WEIGHTS_FILE} does not fit {folder / SPEC_FILE}: {told}; "
                "the two files are not of the same policy"
            ) from None
        require_finite(weights, str(folder / WEIGHTS_FILE))
        return cls(network)

    def save(self, folder: Path) -> None:
        """Write the policy's two files into ``folder``, and the manifest of all that lies there."""
        (folder / SPEC_FILE).write_text(self.spec.model_dump_json(indent=1) + "\n")
        torch.save(self.network.state_dict(), folder / WEIGHTS_FILE)
        seal(folder)

    def require_features(self, feature_digest: str, feature_sets: tuple[str, ...]) -> None:
        """Refuse data whose features are not those this policy was trained on."""
        self.spec.require_features(feature_digest, feature_sets)

    def act(self, flat: np.ndarray, windows: np.ndarray | None = None) -> np.ndarray:
        """Actions (N, S) int8: the most probable available action of each slot.

        ``flat`` (N, width) f4; ``windows`` (N, S, W, H) f4 where the level reads history.
        """
        logits, _, mask = self._answer(flat, windows)
        actions = np.empty(logits.shape[:2], np.int8)
        best_actions(logits.numpy(), mask.numpy(), actions)
        return actions

    def action_probabilities(self, flat: np.ndarray, windows: np.ndarray | None = None) -> np.ndarray:
        """Probabilities (N, S, N_ACTIONS) f4, 0 where masked; arguments as in :meth:`act`."""
        logits, _, mask = self._answer(flat, windows)
        probabilities: np.ndarray = mask_logits(logits, mask).softmax(-1).numpy()
        return probabilities

    def values(self, flat: np.ndarray, windows: np.ndarray | None = None) -> np.ndarray:
        """Value (N,) of each observation, as the policy estimates it; arguments as in :meth:`act`."""
        result: np.ndarray = self._answer(flat, windows).value.sum(dim=1).numpy()
        return result

    def _answer(self, flat: np.ndarray, windows: np.ndarray | None) -> Answer:
        self.spec.require_shape(flat.shape)
        seen = self.spec.split(torch.from_numpy(flat))
        with torch.no_grad():
            codes = self._codes(seen.slot_mask, windows)
            logits, value = self.network.decide(seen.market, codes, seen.portfolio, seen.slot_mask)
        return Answer(logits, value, seen.action_mask)

    def _codes(self, slot_mask: torch.Tensor, windows: np.ndarray | None) -> torch.Tensor | None:
        """Codes (N, S, E) of ``windows``, 0 where a slot is empty; None for levels without history."""
        if not self.spec.reads_history:
            return None
        if windows is None:
            raise ContractError(f"level {self.spec.level.name!r} reads history: pass windows")
        every = torch.from_numpy(np.ascontiguousarray(windows)).flatten(0, 1)  # (N * S, W, H)
        return self.network.encode_history(every).view(*slot_mask.shape, -1) * slot_mask[..., None]


def read_spec(folder: Path) -> PolicySpec:
    """Spec of the policy in ``folder``; a DataError names the field of the file that is wrong."""
    path = Path(folder) / SPEC_FILE
    try:
        values = json_value(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {folder} holds no policy") from None
    except ValueError as err:
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


def require_finite(tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """Refuse weights among which is a NaN or an infinity: such a policy decides by accident.

    ``name``: of the file or the model, for the DataError.
    """
    for key, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            n_bad = tensor.numel() - int(torch.isfinite(tensor).sum())
            if n_bad:
                raise DataError(
                    f"{name}: {n_bad} of {tensor.numel()} numbers of {key} are not finite; take another"
                )
