"""One subaccount: its cash on every shard, what its orders reserve, and its positions.

Invariant  cash of a shard >= everything reserved on it, and both are exact integers of 1e-6 dollar.
"""

from kalshi_platform.trading.simserver.config import N_SHARDS
from kalshi_platform.trading.simserver.venue.orders import AccountPosition


class Subaccount:
    """Subaccount ``number`` of the account; 0 is the primary one."""

    def __init__(self, number: int, cash_e6: int) -> None:
        self.number = number
        self.cash_e6 = [cash_e6] * N_SHARDS
        self.paid_in_e6 = [cash_e6] * N_SHARDS
        self.reserved_e6: dict[str, int] = {}  # event -> reserved in its exchange
        self.positions: dict[str, AccountPosition] = {}  # market -> stand in it
        self._shard_of: dict[str, int] = {}

    def reserved_on(self, shard: int, but: str = "") -> int:
        """Cash that orders reserve on a shard, those of the event ``but`` left out."""
        return sum(v for k, v in self.reserved_e6.items() if self._shard_of[k] == shard and k != but)

    def free_on(self, shard: int) -> int:
        """Cash on a shard that no order reserves."""
        return self.cash_e6[shard] - self.reserved_on(shard)

    def note_reserved(self, event: str, shard: int, reserved_e6: int) -> None:
        """Note what orders in an event reserve now."""
        self._shard_of[event] = shard
        self.reserved_e6[event] = reserved_e6

    def forget(self, event: str) -> None:
        """Forget an event that is paid."""
        self.reserved_e6.pop(event, None)
        self._shard_of.pop(event, None)

    def pay_in(self, shard: int, amount_e6: int) -> None:
        """Move cash in from elsewhere, or out where the amount is negative."""
        self.cash_e6[shard] += amount_e6
        self.paid_in_e6[shard] += amount_e6
