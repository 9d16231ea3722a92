"""The spec of a policy: its inputs and outputs. Every checkpoint carries one beside its weights.

Owns       the names and the digest of a policy's features. simulation/replay/layout.py lays out the flat
           observation.
Not        names of markets: no identifier of a market, event or series is part of it.
"""

import torch
from pydantic import Field

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import Level
from kalshi_platform.simulation.replay.layout import Blocks, Layout, layout_of


class PolicySpec(Config):
    """Sizes, feature names and digests of one policy."""

    level: Level
    n_slots: int = Field(gt=0, le=10_000, description="market slots, S")
    market: tuple[str, ...] = Field(min_length=1, description="feature names of a slot's market, F of them")
    portfolio: tuple[str, ...] = Field(
        min_length=1, description="feature names of a slot's portfolio, P of them"
    )
    n_history: int = Field(ge=0, le=10_000, description="temporal features in a row of history, H")
    feature_digest: str = Field(description="digest of the feature table the dataset was built with")
    groups: tuple[str, ...] = Field(description="feature sets that are switched on")

    @property
    def layout(self) -> Layout:
        """Layout of the flat observation."""
        return layout_of(self.n_slots, len(self.market), len(self.portfolio))

    @property
    def width(self) -> int:
        """Length of one flat observation."""
        return self.layout.width

    @property
    def reads_history(self) -> bool:
        """True where the network needs history windows."""
        return self.level.window > 0

    def split(self, flat: torch.Tensor) -> Blocks[torch.Tensor]:
        """Views of ``flat`` (B, width); columns after ``width`` are ignored."""
        return self.layout.split(flat)

    def require_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse observations of another ``shape`` than (N, width)."""
        if len(shape) != 2 or shape[1] != self.width:
            raise ContractError(
                f"observations have shape {shape}, the policy reads (N, {self.width}): "
                f"{self.n_slots} slots x ({len(self.market)} market + {len(self.portfolio)} portfolio + 1 + "
                f"{N_ACTIONS})"
            )

    def require_features(self, feature_digest: str, feature_sets: tuple[str, ...]) -> None:
        """Refuse data whose features are not those this policy was trained on."""
        if feature_digest != self.feature_digest or tuple(feature_sets) != self.groups:
            raise ContractError(
                f"the policy was trained on feature table {self.feature_digest} with sets "
                f"{list(self.groups)}, the data has {feature_digest} with sets {list(feature_sets)}; "
                "rebuild the dataset with the policy's table or train a policy on this one"
            )
