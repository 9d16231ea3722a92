"""What a policy reads and decides: the record every checkpoint carries beside its weights.

Owns       the layout of the flat observation as the network sees it, and what identifies its features.
Invariant  flat (width,) = market (S x F) | portfolio (S x P) | slot mask (S) | action mask (S x N_ACTIONS).
Not        names of markets: no identifier of a market, event or series is part of it.
"""

from typing import NamedTuple

import torch
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import Level
from kalshi_platform.simulation.replay.account import N_ACTIONS


class Observation(NamedTuple):
    """Views of a batch of flat observations."""

    market: torch.Tensor  # (B, S, F)
    portfolio: torch.Tensor  # (B, S, P)
    slot_mask: torch.Tensor  # (B, S), 1 = a market stands there
    action_mask: torch.Tensor  # (B, S, N_ACTIONS), 1 = legal


class PolicySpec(Config):
    """Sizes, feature names and digests of one policy."""

    level: Level
    n_slots: int = Field(gt=0, description="market slots, S")
    market: tuple[str, ...] = Field(min_length=1, description="feature names of a slot's market, F of them")
    portfolio: tuple[str, ...] = Field(
        min_length=1, description="feature names of a slot's portfolio, P of them"
    )
    n_history: int = Field(ge=0, description="temporal features in a row of history, H")
    feature_digest: str = Field(description="digest of the feature table the dataset was built with")
    groups: tuple[str, ...] = Field(description="feature groups that are switched on")

    @property
    def width(self) -> int:
        """Length of one flat observation."""
        return self.n_slots * (len(self.market) + len(self.portfolio) + 1 + N_ACTIONS)

    @property
    def reads_history(self) -> bool:
        """Whether the network needs history windows."""
        return self.level.window > 0

    def split(self, flat: torch.Tensor) -> Observation:
        """Views of ``flat`` (B, width); columns after ``width`` are not looked at."""
        s, f, p = self.n_slots, len(self.market), len(self.portfolio)
        ends = (s * f, s * (f + p), s * (f + p + 1), self.width)
        b = flat.shape[0]
        return Observation(
            market=flat[:, : ends[0]].view(b, s, f),
            portfolio=flat[:, ends[0] : ends[1]].view(b, s, p),
            slot_mask=flat[:, ends[1] : ends[2]],
            action_mask=flat[:, ends[2] : ends[3]].view(b, s, N_ACTIONS),
        )

    def require_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse observations of another ``shape`` than (N, width)."""
        if len(shape) != 2 or shape[1] != self.width:
            raise ContractError(
                f"observations have shape {shape}, the policy reads (N, {self.width}): "
                f"{self.n_slots} slots x ({len(self.market)} market + {len(self.portfolio)} portfolio + 1 + "
                f"{N_ACTIONS})"
            )

    def require_features(self, feature_digest: str, groups: tuple[str, ...]) -> None:
        """Refuse data whose features are not the ones this policy was trained on."""
        if feature_digest != self.feature_digest or tuple(groups) != self.groups:
            raise ContractError(
                f"the policy was trained on feature table {self.feature_digest} "
                f"with groups {list(self.groups)}, the data has {feature_digest} with groups {list(groups)}; "
                "rebuild the dataset with the policy's table or train a policy on this one"
            )
