"""Levels of the policy network: one record a level with its sizes.

Owns  widths, heads, layers, the history window and the latency budget of every level, and of the small
      networks that stand before a registered model (``TIER_LEVELS``).
Not   the features a level sees: they are the environment's and lie in ``networks.spec.PolicySpec``.
"""

from typing import Annotated, Final

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.mistyped import refused_choice

#: Bounds of what a file may ask for: a network of any size would take the machine's memory when it is read.
_WIDEST: Final = 4_096
_MOST_LAYERS: Final = 32
_LONGEST_WINDOW: Final = 100_000


class Level(Config):
    """Sizes of one network; ``window`` 0 means that the network reads no history."""

    name: str = Field(description="what --level calls it")
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=_WIDEST)], ...] = Field(
        min_length=1, max_length=_MOST_LAYERS, description="layers of the slot encoder; the last is the width"
    )
    lstm_hidden: int = Field(ge=0, le=_WIDEST, description="width of the temporal encoder; 0 = none")
    window: int = Field(ge=0, le=_LONGEST_WINDOW, description="rows of history a slot, W")
    attention_heads: int = Field(
        ge=1, le=_WIDEST, description="heads of the attention over slots; divides the width"
    )
    attention_layers: int = Field(
        ge=0, le=_MOST_LAYERS, description="layers of attention over slots; 0 = each slot alone"
    )
    n_regimes: int = Field(
        0, ge=0, le=_WIDEST, description="regimes a slot is assigned to, R; 0 = no regime head"
    )
    microstructure: bool = Field(
        False, description="learns beside PPO to foresee the mid's next move and bursts"
    )
    latency_budget_ms: float = Field(
        50.0, gt=0, description="slowest of 100 decisions for one group of slots, one thread"
    )

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> "Level":
        if self.width % self.attention_heads:
            raise ValueError(f"width {self.width} is not divisible by {self.attention_heads} attention heads")
        if (self.window == 0) != (self.lstm_hidden == 0):
            raise ValueError(
                f"window={self.window} and lstm_hidden={self.lstm_hidden}: both are 0 or neither"
            )
        if self.n_regimes == 1:
            raise ValueError("n_regimes=1: one regime tells nothing apart; use 0 for none, or at least 2")
        return self

    @property
    def width(self) -> int:
        """Width of a slot's representation after the encoder."""
        return self.hidden_sizes[-1]

    @property
    def has_auxiliary(self) -> bool:
        """True where the level has heads with a loss of their own beside PPO's."""
        return self.n_regimes > 0 or self.microstructure


#: Every level attends over its slots; "tiny", "simple" and "moderate" have the smallest attention there is.
#: Windows and their cost: ADR-0005.
LEVELS: Final[dict[str, Level]] = {
    level.name: level
    for level in (
        Level(
            name="tiny",
            hidden_sizes=(32,),
            lstm_hidden=0,
            window=0,
            attention_heads=2,
            attention_layers=1,
            latency_budget_ms=2,
        ),
        Level(
            name="simple",
            hidden_sizes=(64,),
            lstm_hidden=32,
            window=16,
            attention_heads=2,
            attention_layers=1,
            latency_budget_ms=2,
        ),
        Level(
            name="moderate",
            hidden_sizes=(128, 64),
            lstm_hidden=64,
            window=16,
            attention_heads=2,
            attention_layers=1,
            latency_budget_ms=10,
        ),
        Level(
            name="advanced",
            hidden_sizes=(256, 128, 64),
            lstm_hidden=128,
            window=16,
            attention_heads=4,
            attention_layers=2,
            n_regimes=5,
            latency_budget_ms=30,
        ),
        Level(
            name="complex",
            hidden_sizes=(512, 256, 128),
            lstm_hidden=256,
            window=16,
            attention_heads=8,
            attention_layers=3,
            n_regimes=5,
            microstructure=True,
            latency_budget_ms=50,
        ),
    )
}

#: The networks distilled from a registered model, by tier: a two-layer MLP; a light encoder with a compact
#: LSTM. Without attention a slot is decided by itself, so that a group costs little more than a slot.
#: Nobody trains them with PPO, so ``--level`` does not know them. Eight rows of history are encoded in half
#: the time of the levels' sixteen.
TIER_LEVELS: Final[dict[int, Level]] = {
    1: Level(
        name="tier_1",
        hidden_sizes=(64, 32),
        lstm_hidden=0,
        window=0,
        attention_heads=1,
        attention_layers=0,
        latency_budget_ms=1,
    ),
    2: Level(
        name="tier_2",
        hidden_sizes=(64,),
        lstm_hidden=64,
        window=8,
        attention_heads=1,
        attention_layers=0,
        latency_budget_ms=5,
    ),
}


def level_named(name: str) -> Level:
    """Level called ``name``; a ContractError lists the names there are."""
    try:
        return LEVELS[name]
    except KeyError:
        raise ContractError(refused_choice("level", name, LEVELS)) from None
