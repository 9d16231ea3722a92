"""The five answers a policy can give in one market: their numbers and their names, here and nowhere else.

Numbers  index logits, masks and records; they are part of every model (its ``action`` digest).
Names    are those of the wire, of files and, in lower case, of metrics.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

ActionName = Literal["HOLD", "BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO"]
#: An action that trades.
TradeName = Literal["BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO"]
ACTION_NAMES: Final[tuple[ActionName, ...]] = get_args(ActionName)
HOLD, BUY_YES, SELL_YES, BUY_NO, SELL_NO = range(5)
N_ACTIONS: Final = 5
#: What each number a policy answers means; the exchange is sent orders by it.
ACTIONS: Final[dict[str, int]] = {name: number for number, name in enumerate(ACTION_NAMES)}


def by_action(values: Sequence[float]) -> dict[ActionName, float]:
    """The numbers ``values`` of one slot, in the order of the actions, by the action's name."""
    return dict(zip(ACTION_NAMES, values, strict=True))
