"""Heads with a loss of their own: one assigns slots to regimes, one foresees a slot's market.

Owns       the regime head and the microstructure head, and the losses that train them beside PPO.
Shapes     B observations, S slots, D width, R regimes; ``present`` (B, S), 1 = the slot holds a market.
Invariant  both begin as the identity on the slot: they add zero to it. A network that grows such a head
           decides as before until the head has learned something.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name)
from torch import nn

#: Predictions of the microstructure head, in this order: see :class:`Targets`.
N_FORESEEN = 2


class Targets(NamedTuple):
    """Move and burst that really came after every slot's row; only the loss reads them."""

    move_cents: torch.Tensor  # (B, S) f4: mid K rows later minus mid now
    burst: torch.Tensor  # (B, S) f4: 1 where the next message comes within a burst
    known: torch.Tensor  # (B, S) f4: 1 where the unbroken segment holds K later rows


class RegimeHead(nn.Module):
    """A head that assigns a slot softly to regimes and adds the mixture of their learned embeddings to it.

    The embedding shifts everything the action and value heads compute: one strategy a regime.
    """

    def __init__(self, width: int, n_regimes: int) -> None:
        super().__init__()
        self.assign = nn.Linear(width, n_regimes)
        self.embedding = nn.Parameter(torch.zeros(n_regimes, width))

    def forward(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slots (B, S, D), probabilities of the regimes (B, S, R), and the input that assigned them."""
        seen = F.layer_norm(slots, (self.assign.in_features,))
        probabilities = self.assign(seen).softmax(-1)  # (B, S, D) -> (B, S, R)
        return slots + probabilities @ self.embedding, probabilities, seen


class MicrostructureHead(nn.Module):
    """A hidden layer that must foresee the market; its code is added to the slot."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.code = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.back = nn.Linear(width, width)
        self.predict = nn.Linear(width, N_FORESEEN)

    def forward(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(slots (B, S, D), prediction for each (B, S, 2): move in cents, logit of a burst)."""
        code = self.code(F.layer_norm(slots, (self.back.in_features,)))  # (B, S, D) -> (B, S, D)
        return slots + self.back(code), self.predict(code)


def regime_information(
    probabilities: torch.Tensor, present: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Mutual information of slot and regime in nats, which training maximises, and its two parts.

    I = H(mean of p) - mean of H(p) over the slots that hold a market (Krause, Perona and Gomes 2010, eq. 5,
    without their regulariser): large where every assignment is decided and all regimes are used. 0 to ln R.
    """
    weight = present / present.sum().clamp_min(1.0)  # (B, S)
    mean = (probabilities * weight[..., None]).sum((0, 1))  # (B, S, R) -> (R,)
    undecided = (_entropy(probabilities) * weight).sum()
    balance = _entropy(mean)
    parts = {"regime_entropy": undecided.detach(), "regime_balance": balance.detach()}
    return balance - undecided, parts


def microstructure_loss(foreseen: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Huber loss of the move (one cent the corner) plus cross-entropy of the burst, over known targets.

    Huber, because a market that settles its question moves by tens of cents. Squared errors would teach the
    head nothing but such rows.
    """
    n = targets.known.sum().clamp_min(1.0)
    move = F.smooth_l1_loss(foreseen[..., 0], targets.move_cents, reduction="none")
    burst = F.binary_cross_entropy_with_logits(foreseen[..., 1], targets.burst, reduction="none")
    return ((move + burst) * targets.known).sum() / n


def _entropy(p: torch.Tensor) -> torch.Tensor:
    """Shannon entropy in nats over the last dimension; 0 log 0 = 0, and its gradient is finite."""
    return -(p * p.clamp_min(1e-12).log()).sum(-1)
