"""The network in RLlib's two shells, ModelV2 as we use it and an RLModule: same weights, same outputs.

The network is a plain torch module, so the shell below is all that leaving ModelV2 asks of models/.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from ray.rllib.models.torch.torch_action_dist import TorchMultiCategorical as OldMultiCategorical

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.models.networks.actions import mask_logits
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.levels import LEVELS, level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.rllib_adapter import (
    HISTORY_ROWS,
    SlotPolicyModel,
    action_space,
    observation_space,
)
from kalshi_platform.models.networks.spec import PolicySpec

N_SLOTS, N_HISTORY, N_ROWS = 4, 3, 40


#: Rows to gather windows from, as a bank has them: two unbroken segments.
ARRAYS = SimpleNamespace(
    temporal=np.random.default_rng(1).normal(size=(N_ROWS, N_HISTORY)).astype(np.float32),
    age=np.tile(np.arange(N_ROWS // 2, dtype=np.int32), 2),
)


class SlotRLModule(TorchRLModule, ValueFunctionAPI):
    """The network as RLlib's new stack takes it; ``model_config``: spec and seed."""

    def setup(self) -> None:
        """Build the network, as the ModelV2 shell does."""
        spec: PolicySpec = self.model_config["spec"]
        self.network = build_network(spec, self.model_config["seed"])
        self._gatherer = WindowGatherer(ARRAYS, spec.level.window)

    def _decide(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        spec = self.network.spec
        market, portfolio, slot_mask, action_mask = spec.split(batch[Columns.OBS])
        windows = index = None
        if spec.reads_history:
            windows, index = self._gatherer.distinct(batch[HISTORY_ROWS].numpy())
        logits, value = self.network(market, windows, index, portfolio, slot_mask)
        return mask_logits(logits, action_mask), value

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, torch.Tensor]:
        return {Columns.ACTION_DIST_INPUTS: self._decide(batch)[0].flatten(1)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Values (B,)."""
        return self._decide(batch)[1].sum(1)


def spec_of(level: str) -> PolicySpec:
    return PolicySpec(
        level=level_named(level),
        n_slots=N_SLOTS,
        market=("a", "b", "c"),
        portfolio=("p", "q"),
        n_history=N_HISTORY,
        feature_digest="f" * 12,
        groups=("orderbook",),
    )


def made_batch(spec: PolicySpec, n: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Observations of which a third of the slots are empty, with the rows that windows end at."""
    flat = torch.from_numpy(rng.normal(size=(n, spec.width)).astype(np.float32))
    view, present = spec.split(flat), torch.from_numpy(rng.random((n, N_SLOTS)) < 0.7)
    view.slot_mask[:] = present.float()
    view.action_mask[:] = torch.from_numpy(rng.random((n, N_SLOTS, N_ACTIONS)) < 0.5) & present[..., None]
    view.action_mask[..., HOLD] = 1.0
    rows = np.where(present.numpy(), rng.integers(0, N_ROWS, (n, N_SLOTS)), -1).astype(np.int32)
    return {Columns.OBS: flat, HISTORY_ROWS: torch.from_numpy(rows)}


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_weights_give_the_same_outputs_in_both_shells(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    spaces = {"observation_space": observation_space(spec), "action_space": action_space(spec)}
    old = SlotPolicyModel(
        spaces["observation_space"],
        spaces["action_space"],
        N_SLOTS * N_ACTIONS,
        {},
        "old",
        spec=spec,
        seed=3,
        source=SimpleNamespace(bank=SimpleNamespace(arrays=ARRAYS)),
    )
    new = RLModuleSpec(SlotRLModule, model_config={"spec": spec, "seed": 4}, **spaces).build()
    batch = made_batch(spec, 16, rng)
    logits, _ = old({"obs": batch[Columns.OBS], HISTORY_ROWS: batch[HISTORY_ROWS]}, [], None)
    assert not torch.equal(new.forward_inference(batch)[Columns.ACTION_DIST_INPUTS], logits)  # other weights

    state = new.get_state()  # plain arrays, by the network's own names
    assert set(state) == {f"network.{name}" for name in old.network.state_dict()}
    new.set_state({f"network.{name}": w.numpy() for name, w in old.network.state_dict().items()})
    out = new.forward_train(batch)[Columns.ACTION_DIST_INPUTS]
    assert torch.equal(out, logits)
    assert torch.equal(new.compute_values(batch), old.value_function())

    actions = torch.from_numpy(rng.integers(0, N_ACTIONS, (16, N_SLOTS)))
    sizes = [N_ACTIONS] * N_SLOTS
    fresh = TorchMultiCategorical.get_partial_dist_cls(input_lens=sizes).from_logits(out)
    stale = OldMultiCategorical(logits, old, sizes)
    assert torch.equal(fresh.logp(actions), stale.logp(actions))
    fresh.entropy().mean().backward()
    stale.entropy().mean().backward()
    for (name, ours), (_, theirs) in zip(
        new.network.named_parameters(), old.network.named_parameters(), strict=True
    ):
        assert (ours.grad is None) == (theirs.grad is None), name
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad), name
