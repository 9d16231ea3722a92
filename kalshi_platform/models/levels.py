"""Complexity levels of the policy network: one record a level, sizes as in the brief.

Owns  widths, heads, layers and the history window of every level.
Not   the features a level sees: they are the environment's and lie in ``models.spec.PolicySpec``.
"""

from typing import Final

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError


class Level(Config):
    """Sizes of one network; ``window`` 0 means that the level looks at no history."""

    name: str = Field(description="what --level calls it")
    hidden_sizes: tuple[int, ...] = Field(
        min_length=1, description="layers of the slot encoder; the last is the width"
    )
    lstm_hidden: int = Field(ge=0, description="width of the temporal encoder; 0 = none")
    window: int = Field(ge=0, description="rows of history a slot, W")
    attention_heads: int = Field(ge=1, description="heads of the attention over slots; divides the width")
    attention_layers: int = Field(
        ge=1, description="layers of attention over slots (brief: cross-market layers)"
    )

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> "Level":
        if self.width % self.attention_heads:
            raise ValueError(f"width {self.width} is not divisible by {self.attention_heads} attention heads")
        if (self.window == 0) != (self.lstm_hidden == 0):
            raise ValueError(
                f"window={self.window} and lstm_hidden={self.lstm_hidden}: both are 0 or neither"
            )
        return self

    @property
    def width(self) -> int:
        """Width of a slot's representation after the encoder."""
        return self.hidden_sizes[-1]


#: The brief gives "simple" no attention; the issue asks for attention over slots in every level, so it gets
#: the smallest there is. Windows: the temporal encoder is the largest cost of a training sample and
#: linear in W; 16 rows cost 30 us a sample forward and backward at width 32, 65 us at width 64 (one core).
LEVELS: Final[dict[str, Level]] = {
    level.name: level
    for level in (
        Level(
            name="tiny", hidden_sizes=(32,), lstm_hidden=0, window=0, attention_heads=2, attention_layers=1
        ),
        Level(
            name="simple",
            hidden_sizes=(64,),
            lstm_hidden=32,
            window=16,
            attention_heads=2,
            attention_layers=1,
        ),
        Level(
            name="moderate",
            hidden_sizes=(128, 64),
            lstm_hidden=64,
            window=16,
            attention_heads=2,
            attention_layers=2,
        ),
    )
}


def level_named(name: str) -> Level:
    """The level called ``name``; a ContractError lists the names there are."""
    try:
        return LEVELS[name]
    except KeyError:
        raise ContractError(f"level {name!r} is unknown; there are {', '.join(LEVELS)}") from None
