"""Losses of a student: it learns the champion's action probabilities, most where the action matters most.

Shapes     B states, S slots, A actions; ``counted`` (B, S) marks slots with more than one legal action.
Formulas   KL(champion || student) of masked action distributions, as in policy distillation (Rusu et al.
           2016) at temperature 1. A slot weighs more where its action mattered more, after VIPER (Bastani, Pu
           and Solar-Lezama 2018), which draws states in proportion to the loss of the worst action there; the
           size of the champion's advantage stands for that loss here.
"""

import numpy as np
import torch

from kalshi_platform.models.networks.actions import mask_logits


def advantage_weights(advantage: np.ndarray, counted: np.ndarray, floor: float, cap: float) -> np.ndarray:
    """Weights (K, S) f4 of mean 1 over ``counted``, 0 elsewhere.

    w = floor + (1 - floor) m / mean(m), m = min(|A|, cap mean|A|), means over counted slots. Where no
    advantage differs from zero every counted slot weighs 1.
    """
    size = np.abs(advantage[counted].astype(np.float64))
    weights = np.zeros(advantage.shape, np.float32)
    if size.size and (mean := size.mean()) > 0:
        capped = np.minimum(size, cap * mean)
        weights[counted] = floor + (1 - floor) * capped / capped.mean()
    else:
        weights[counted] = 1.0
    return weights


def weighted_kl(
    teacher: torch.Tensor, student: torch.Tensor, action_mask: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Sum over slots of weight x KL(teacher || student), over the sum of weights, in nats.

    teacher, student (B, S, A) logits; action_mask (B, S, A), 1 = legal; weight (B, S), 0 = not counted.
    """
    log_p = mask_logits(teacher, action_mask).log_softmax(-1)
    log_q = mask_logits(student, action_mask).log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)  # (B, S, A) -> (B, S)
    return (kl * weight).sum() / weight.sum().clamp_min(1e-12)


def value_loss(
    teacher: torch.Tensor, student: torch.Tensor, weight: torch.Tensor, variance: float
) -> torch.Tensor:
    """Weighted mean squared error of the slots' values (B, S), in units of the champion's variance."""
    error = (teacher - student) ** 2 / max(variance, 1e-12)
    return (error * weight).sum() / weight.sum().clamp_min(1e-12)
