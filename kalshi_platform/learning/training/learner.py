"""The PPO loss on RLlib's torch policy, computed in one pass over the logits.

Leaves out, against RLlib's PPOTorchPolicy: the KL penalty (clipping alone, Schulman et al. 2017, eq. 7), a
second distribution for the old policy, one ``Categorical`` a slot, explained variance in every minibatch.
"""

from typing import Any

import torch
from ray.rllib.algorithms.ppo.ppo_torch_policy import PPOTorchPolicy
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import SampleBatch


def ppo_loss(
    log_probs: torch.Tensor,
    present: torch.Tensor,
    value: torch.Tensor,
    actions: torch.Tensor,
    old_log_prob: torch.Tensor,
    old_value: torch.Tensor,
    advantage: torch.Tensor,
    target: torch.Tensor,
    *,
    clip: float,
    value_clip: float,
    value_coeff: float,
    entropy_coeff: float,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Clipped surrogate + clipped value error - entropy bonus, averaged over slots that hold a market.

    log_probs (B, S, A), a masked action at about -1e9; actions (B, S) int; present (B, S) 1 = holds a market;
    value, old_*, advantage and target (B, S): every slot's decision is judged by its own reward.
    Returns the loss and detached parts of it for the report.
    """
    log_prob = log_probs.gather(2, actions.long()[..., None])[..., 0]  # (B, S, A) -> (B, S)
    held = present.sum().clamp(min=1)  # a minibatch without a market teaches nothing; 0 / 0 would be NaN
    entropy = -((log_probs.exp() * log_probs).sum(2) * present).sum() / held  # (B, S, A) -> ()
    log_ratio = (log_prob - old_log_prob) * present
    ratio = log_ratio.exp()
    surrogate = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    near = old_value + (value - old_value).clamp(-value_clip, value_clip)
    error = torch.max((value - target) ** 2, (near - target) ** 2)
    value_loss = 0.5 * (error * present).sum() / held
    policy_loss = -(surrogate * present).sum() / held
    loss = policy_loss + value_coeff * value_loss - entropy_coeff * entropy
    with torch.no_grad():
        parts = {
            "policy_loss": policy_loss.detach(),
            "value_loss": value_loss.detach(),
            "entropy": entropy.detach(),
            "kl": (ratio - 1 - log_ratio).sum() / held,  # Schulman's low-variance estimate
            "clip_share": ((ratio - 1).abs() > clip).float().sum() / held,
        }
    return loss, parts


class LeanPPOPolicy(PPOTorchPolicy):
    """RLlib's PPO policy with the loss above; expects a ``SlotPolicyModel``."""

    def __init__(self, observation_space: Any, action_space: Any, config: Any) -> None:
        # Here alone RLlib says in which worker a policy is: its model opens that worker's events.
        config = {**config}
        custom = dict(config["model"]["custom_model_config"])
        custom["source"] = custom["source"].of_worker(config["worker_index"])
        config["model"] = {**config["model"], "custom_model_config": custom}
        super().__init__(observation_space, action_space, config)  # type: ignore[no-untyped-call]

    def loss(self, model: Any, dist_class: Any, train_batch: Any) -> torch.Tensor:
        """Loss of one minibatch; its numbers for the report wait in ``model.tower_stats``."""
        logits, value = model.evaluate(train_batch)
        total, parts = ppo_loss(
            logits.log_softmax(-1),
            model.slot_mask(train_batch),
            value,
            train_batch[SampleBatch.ACTIONS],
            train_batch[SampleBatch.ACTION_LOGP],
            train_batch[SampleBatch.VF_PREDS],
            train_batch[Postprocessing.ADVANTAGES],
            train_batch[Postprocessing.VALUE_TARGETS],
            clip=self.config["clip_param"],
            value_clip=self.config["vf_clip_param"],
            value_coeff=self.config["vf_loss_coeff"],
            entropy_coeff=self.entropy_coeff,
        )
        model.tower_stats.update(parts)
        beside = model.auxiliary_loss(train_batch)
        if beside is None:
            return total
        loss, parts = beside
        model.tower_stats.update(parts)
        return total + loss

    def stats_fn(self, train_batch: Any) -> dict[str, Any]:
        """Numbers of the last minibatch for the learner's report."""
        return {name: float(part) for name, part in self.model.tower_stats.items()}

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam in one fused kernel; the loop over small parameters cost more than the arithmetic."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config["lr"], eps=1e-5, fused=True)
