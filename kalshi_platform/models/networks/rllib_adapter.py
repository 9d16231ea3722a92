"""The network as an RLlib ``TorchModelV2``: a thin translation, no weights and no decisions of its own.

Observation  one flat float32 Box (width,); windows are gathered here from the rows in the extra column
             HISTORY_ROWS.
Device       that of the observations; rows and windows are gathered on the CPU.
Output       masked logits (B, S * N_ACTIONS) for RLlib's MultiDiscrete distribution.
"""

from pathlib import Path
from typing import Any, Final, Protocol

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.models.torch.torch_modelv2 import TorchModelV2
from ray.rllib.policy.view_requirement import ViewRequirement
from torch import nn

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.models.networks.actions import mask_logits
from kalshi_platform.models.networks.foresight import Foresight
from kalshi_platform.models.networks.heads import microstructure_loss, regime_information
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.networks import Slots, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.networks.transfer import grown_network
from kalshi_platform.simulation.replay.bank import Bank

#: Column of a SampleBatch: bank row of every slot (B, S) int64, -1 = empty.
HISTORY_ROWS: Final = "history_rows"


class BankSource(Protocol):
    """A source of the trainer's data, which lie above this layer.

    Each process opens them once, at first use.
    """

    @property
    def bank(self) -> Bank:
        """Bank whose rows windows are gathered from."""


def observation_space(spec: PolicySpec) -> gym.spaces.Box:
    """The one flat Box that RLlib takes for the observation space."""
    return gym.spaces.Box(-np.inf, np.inf, (spec.width,), np.float32)


def action_space(spec: PolicySpec) -> gym.spaces.MultiDiscrete:
    """Space of one of N_ACTIONS a slot."""
    return gym.spaces.MultiDiscrete([N_ACTIONS] * spec.n_slots)


class SlotPolicyModel(TorchModelV2, nn.Module):
    """The network as RLlib's model.

    RLlib builds it from ``custom_model_config``: the keyword arguments below.
    """

    def __init__(
        self,
        obs_space: gym.Space[Any],
        action_space: gym.Space[Any],
        num_outputs: int,
        model_config: dict[str, Any],
        name: str,
        *,
        spec: PolicySpec,
        seed: int,
        source: BankSource,
        teacher: str = "",
        auxiliary_coeff: float = 0.0,
    ) -> None:
        TorchModelV2.__init__(self, obs_space, action_space, num_outputs, model_config, name)
        nn.Module.__init__(self)
        if teacher:
            self.network = grown_network(FrozenPolicy.load(Path(teacher)), spec, seed)[0]
        else:
            self.network = build_network(spec, seed)
        self._source = source
        self._kept_gatherer: WindowGatherer | None = None
        self._auxiliary_coeff = auxiliary_coeff
        self._slots: Slots | None = None
        self._foresight: Foresight | None = None
        self._value: torch.Tensor | None = None
        if spec.reads_history:
            highest = np.iinfo(np.int64).max
            self.view_requirements[HISTORY_ROWS] = ViewRequirement(
                space=gym.spaces.Box(-1, highest, (spec.n_slots,), np.int64), used_for_compute_actions=True
            )

    def forward(
        self, input_dict: dict[str, Any], state: list[Any], seq_lens: Any
    ) -> tuple[torch.Tensor, list[Any]]:
        """Masked logits (B, S * N_ACTIONS); the values wait for :meth:`value_function`."""
        logits, value = self.evaluate(input_dict)
        self._value = value.sum(dim=1)  # (B, S) -> (B,)
        return logits.flatten(1), state  # (B, S, A) -> (B, S * A)

    def evaluate(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Masked logits (B, S, N_ACTIONS) and values (B, S) of the observations in ``batch``."""
        flat = batch["obs"]
        spec = self.network.spec
        market, portfolio, slot_mask, action_mask = spec.split(flat)
        codes = self.network.slot_codes(*self._windows(batch)) if spec.reads_history else None
        slots = self.network.represent(market, codes, portfolio, slot_mask)
        self._slots = slots if spec.level.has_auxiliary else None
        logits, value = self.network.judge(slots, slot_mask)
        return mask_logits(logits, action_mask), value

    def _windows(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Distinct windows (U, W, H) of the batch and the 1-based index (B, S) into them."""
        # Rows may come from another device; windows are gathered here and sent there.
        windows, index = self._gatherer.distinct(batch[HISTORY_ROWS].cpu().numpy())
        device = batch["obs"].device
        return windows.to(device), index.to(device)

    @property
    def _gatherer(self) -> WindowGatherer:
        # At the first use: RLlib copies the model to each GPU before, and a copy of the bank with it.
        if self._kept_gatherer is None:
            self._kept_gatherer = WindowGatherer(self._source.bank.arrays, self.network.spec.level.window)
        return self._kept_gatherer

    def auxiliary_loss(self, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]] | None:
        """Weighted loss of the heads beside PPO's, and its parts; None for levels without such heads.

        ``batch`` is the batch last given to :meth:`evaluate`.
        """
        if not self.network.spec.level.has_auxiliary:
            return None
        assert self._slots is not None, "auxiliary_loss() before evaluate()"
        present = self.slot_mask(batch)
        loss, parts = torch.zeros((), device=present.device), dict[str, torch.Tensor]()
        if self.network.regimes is not None:
            assert self._slots.regime_input is not None
            # PPO alone shapes a slot's representation: pulling it apart by regime would only serve this term.
            assigned = self.network.regimes.assign(self._slots.regime_input.detach()).softmax(-1)
            information, found = regime_information(assigned, present)
            loss, parts = loss - information, parts | found
        if self._slots.foreseen is not None:
            targets = self._foresight_of_source().targets(batch[HISTORY_ROWS].cpu().numpy())
            error = microstructure_loss(self._slots.foreseen, targets)
            loss, parts = loss + error, parts | {"microstructure_loss": error.detach()}
        return self._auxiliary_coeff * loss, parts

    def _foresight_of_source(self) -> Foresight:
        # At the first loss: a process that only sampled would never need it.
        if self._foresight is None:
            self._foresight = Foresight(self._source.bank)
        return self._foresight

    def slot_mask(self, batch: dict[str, Any]) -> torch.Tensor:
        """Slot mask (B, S): 1 where a slot holds a market."""
        return self.network.spec.split(batch["obs"])[2]

    def value_function(self) -> torch.Tensor:
        """Values (B,) of the last forward pass."""
        assert self._value is not None, "value_function() before forward()"
        return self._value
