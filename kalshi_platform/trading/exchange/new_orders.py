"""Bodies of orders, checked before they leave: exact text of integers, and no field that has a silent
default.

Wire    ``side`` bid buys YES, ask sells YES (which is buying NO at 1 - p); ``price`` on the YES scale in
        dollars with 4 decimals, ``count`` with 2. There is no market order: send immediate_or_cancel at a
        price.
Ids     a client order id names an order before the exchange does; the same id twice is refused there, so that
        an order of unknown outcome is found again by it.
"""

import re
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import numpy as np
from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Ticker
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4

#: Letters that the exchange's FIX interface allows in client ids; REST is held to them too.
CLIENT_ID: Final = r"^[A-Za-z0-9+=_:/-]{1,64}$"
_TRAILING: Final = re.compile(r"[^A-Za-z0-9+=_:/-]")


class BookSide(StrEnum):
    """Side of the YES book."""

    BID = "bid"
    ASK = "ask"


class TimeInForce(StrEnum):
    """How long an order stays."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


class SelfTradePrevention(StrEnum):
    """Order that ends where the account would trade with itself."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


class NewOrder(Config):
    """One order to create; ``exchange_index`` None lets the exchange find the shard: slower, billed to
    all."""

    ticker: Ticker
    side: BookSide
    price_e4: int = Field(gt=0, lt=DOLLAR_E4, description="YES price, 1e-4 dollar, on the market's grid")
    qty_e2: int = Field(gt=0, lt=10**15, description="1e-2 contract")
    time_in_force: TimeInForce
    client_order_id: str = Field(pattern=CLIENT_ID)
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.TAKER_AT_CROSS
    post_only: bool = False
    reduce_only: bool = False
    expires_s: int | None = Field(None, gt=0, description="Unix seconds; only with good_till_canceled")
    cancel_on_pause: bool = False
    group_id: str | None = Field(None, min_length=1)
    subaccount: int | None = Field(None, ge=0, le=63)
    exchange_index: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> "NewOrder":
        resting = self.time_in_force is TimeInForce.GOOD_TILL_CANCELED
        if self.expires_s is not None and not resting:
            raise ValueError(
                f"expires_s = {self.expires_s} with {self.time_in_force}: only orders that rest expire"
            )
        if self.post_only and not resting:
            raise ValueError(f"post_only with {self.time_in_force}: such an order can do nothing")
        if self.reduce_only and self.time_in_force is not TimeInForce.IMMEDIATE_OR_CANCEL:
            raise ValueError(f"reduce_only with {self.time_in_force}: it works with immediate_or_cancel only")
        return self

    def body(self) -> dict[str, Any]:
        """JSON body of the order; a field that is not set is left out."""
        return {
            "ticker": self.ticker,
            "client_order_id": self.client_order_id,
            "side": self.side.value,
            "count": count_text(self.qty_e2),
            "price": price_text(self.price_e4),
            "time_in_force": self.time_in_force.value,
            "self_trade_prevention_type": self.self_trade_prevention.value,
            **_set(
                post_only=self.post_only or None,
                reduce_only=self.reduce_only or None,
                expiration_time=self.expires_s,
                cancel_order_on_pause=self.cancel_on_pause or None,
                order_group_id=self.group_id,
                subaccount=self.subaccount,
                exchange_index=self.exchange_index,
            ),
        }


class Amendment(Config):
    """New price and size of a resting order; ``qty_e2`` counts what has filled already and what shall
    rest."""

    ticker: Ticker
    side: BookSide
    price_e4: int = Field(gt=0, lt=DOLLAR_E4)
    qty_e2: int = Field(gt=0, lt=10**15, description="filled + wanted remaining, 1e-2 contract")
    client_order_id: str | None = Field(None, pattern=CLIENT_ID, description="the order's present client id")
    new_client_order_id: str | None = Field(None, pattern=CLIENT_ID)
    expires_s: int | None = Field(None, ge=0, description="0 clears the expiry")
    exchange_index: int | None = Field(None, ge=0)

    def body(self) -> dict[str, Any]:
        """JSON body of the amendment."""
        return {
            "ticker": self.ticker,
            "side": self.side.value,
            "price": price_text(self.price_e4),
            "count": count_text(self.qty_e2),
            **_set(
                client_order_id=self.client_order_id,
                updated_client_order_id=self.new_client_order_id,
                expiration_time=self.expires_s,
                exchange_index=self.exchange_index,
            ),
        }


class ClientOrderIds:
    """Ids of a process's orders: a prefix, a random part of the process, and a count."""

    def __init__(self, prefix: str, rng: np.random.Generator) -> None:
        """``prefix``: 1 to 16 letters that name the strategy."""
        clean = _TRAILING.sub("-", prefix)[:16]
        self._stem = f"{clean}-{UUID(bytes=rng.bytes(16)).hex[:12]}"
        self._count = 0

    def next(self) -> str:
        """Return an id that this process has not used."""
        self._count += 1
        return f"{self._stem}-{self._count:06d}"


def price_text(price_e4: int) -> str:
    """Dollar string of 4 decimals."""
    return f"{price_e4 // DOLLAR_E4}.{price_e4 % DOLLAR_E4:04d}"


def count_text(qty_e2: int) -> str:
    """Count string of 2 decimals; ``qty_e2`` is not negative."""
    return f"{qty_e2 // CONTRACT_E2}.{qty_e2 % CONTRACT_E2:02d}"


def _set(**values: Any) -> dict[str, Any]:
    """Those of ``values`` that are not None."""
    return {name: value for name, value in values.items() if value is not None}
