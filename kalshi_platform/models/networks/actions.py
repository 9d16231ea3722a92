"""Masked actions: probabilities that give an illegal action nothing, and sampling from them.

Owns       the masking of logits and the kernel that draws an action for every slot.
Invariant  an illegal action has probability 0 and is never drawn; HOLD is always legal.
"""

from typing import Final

import numpy as np
import torch

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.compiled import kernel

#: Logit of an illegal action: its probability is exactly 0 in float32, and every gradient stays finite.
MASKED_LOGIT: Final = -1e9


def mask_logits(logits: torch.Tensor, action_mask: torch.Tensor) -> torch.Tensor:
    """Logits with every illegal action at MASKED_LOGIT; both (B, S, N_ACTIONS), mask 1 = legal."""
    return torch.where(action_mask > 0.5, logits, MASKED_LOGIT)


@kernel
def sample_actions(
    logits: np.ndarray,
    action_mask: np.ndarray,
    uniform: np.ndarray,
    actions: np.ndarray,
    log_prob: np.ndarray,
) -> None:
    """Draw one legal action a slot and write its log probability.

    logits, action_mask (N, S, A) f4; uniform (N, S) f8 in [0, 1); actions i1, log_prob f4 (N, S) out.
    The draw inverts the cumulated probabilities: one random number a slot, where Gumbel-argmax needs A.
    """
    n, s, a = logits.shape
    for i in range(n):
        for j in range(s):
            top = -np.inf
            for k in range(a):
                if action_mask[i, j, k] > 0.5 and logits[i, j, k] > top:
                    top = np.float64(logits[i, j, k])
            total = 0.0
            for k in range(a):
                if action_mask[i, j, k] > 0.5:
                    total += np.exp(logits[i, j, k] - top)
            left = uniform[i, j] * total
            chosen = HOLD
            for k in range(a):
                if action_mask[i, j, k] > 0.5:
                    chosen = k  # the last legal action takes what rounding leaves over
                    left -= np.exp(logits[i, j, k] - top)
                    if left < 0.0:
                        break
            actions[i, j] = chosen
            log_prob[i, j] = logits[i, j, chosen] - top - np.log(total)


@kernel
def best_actions(logits: np.ndarray, action_mask: np.ndarray, actions: np.ndarray) -> None:
    """Write the most probable legal action of every slot.

    logits, action_mask (N, S, A) f4; actions (N, S) i1 out.
    """
    n, s, a = logits.shape
    for i in range(n):
        for j in range(s):
            chosen = HOLD
            top = -np.inf
            for k in range(a):
                if action_mask[i, j, k] > 0.5 and logits[i, j, k] > top:
                    top = np.float64(logits[i, j, k])
                    chosen = k
            actions[i, j] = chosen
