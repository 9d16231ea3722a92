"""Messages that a client of a stream sends beside frames: its opening, and the state of its account.

Units      cash and cost 1e-6 dollar, positions and sizes 1e-2 contract, prices 1e-4 dollar, time ns UTC; all
           whole numbers, floats are refused.
Invariant  a message that parses can go to the kernels: every number is within their range.
Not        frames of the exchange: ``data/market_data/decode.py`` reads those.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from kalshi_platform.data.market_data.capture import MAX_TIME_NS
from kalshi_platform.data.market_data.clock import EXCHANGE, SCHEDULE, strange_time
from kalshi_platform.data.market_data.faults import MAX_QTY_E2
from kalshi_platform.domain.actions import TradeName
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import MarketSpec, Provenance, Ticker
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.replay.terms import MAX_BANDS

_MAX_CASH_E6: Final = 10**15
_MAX_FEE_MULTIPLIER_E6: Final = 10**9  # a thousand times the exchange's fee: exact in 64 bits

Int = Annotated[int, Field(strict=True)]
CashE6 = Annotated[int, Field(strict=True, ge=0, le=_MAX_CASH_E6)]
TimeNs = Annotated[int, Field(strict=True, ge=0, lt=MAX_TIME_NS)]
FrameNumber = Annotated[int, Field(strict=True, ge=0, lt=MAX_TIME_NS)]


class RestingOrder(Config):
    """Order of the account that rests in the exchange's book."""

    action: TradeName
    price_e4: Int = Field(gt=0, lt=DOLLAR_E4, description="limit on the YES scale")
    qty_e2: Int = Field(gt=0, le=MAX_QTY_E2, description="what is left of it")
    placed_qty_e2: Int = Field(0, ge=0, le=MAX_QTY_E2, description="its size when it was sent; 0: as qty_e2")


class Holding(Config):
    """Position and orders of the account in one market; the default is none."""

    position_e2: Int = Field(0, ge=-MAX_QTY_E2, le=MAX_QTY_E2, description="+ is YES, - is NO")
    cost_e6: CashE6 = Field(0, description="paid for the open position, fees not included")
    opened_ns: TimeNs = Field(0, description="when the position last left zero")
    resting: RestingOrder | None = None
    in_flight: TradeName | None = Field(
        None, description="an order was sent and has not reached the exchange"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.position_e2 == 0 and (self.cost_e6 or self.opened_ns):
            raise ValueError(
                f"cost_e6={self.cost_e6} and opened_ns={self.opened_ns} of no position: set them to 0"
            )
        if self.position_e2 != 0 and not self.opened_ns:
            raise ValueError(f"position_e2={self.position_e2} without opened_ns: say when it was opened")
        if self.opened_ns and not EXCHANGE.holds(self.opened_ns):
            raise ValueError(strange_time("opened_ns", self.opened_ns, 1, EXCHANGE))
        return self


class AccountMessage(Config):
    """The whole account of one group; markets it does not name hold nothing."""

    type: Literal["account"]
    group: Int = Field(0, ge=0)
    cash_e6: CashE6
    reserved_e6: CashE6 = Field(0, description="of the cash, held for orders in flight or resting")
    markets: dict[Ticker, Holding] = Field(default_factory=dict, fail_fast=True)

    @model_validator(mode="after")
    def _paid_for(self) -> Self:
        if self.reserved_e6 > self.cash_e6:
            raise ValueError(f"reserved_e6={self.reserved_e6} exceeds cash_e6={self.cash_e6}")
        return self


class OpenMessage(Config):
    """The first message of a stream."""

    type: Literal["open"]
    session: str | None = Field(None, max_length=64, description="a session to go on with; None: a new one")
    first_frame: FrameNumber = Field(
        1, ge=1, description="number of the next frame where the session is not known (any more)"
    )
    decide_after: FrameNumber = Field(0, description="frames up to this one are applied, not answered")
    markets: tuple[MarketSpec, ...] = Field(
        (), fail_fast=True, description="what is known of markets before their frames"
    )
    groups: tuple[Annotated[tuple[Ticker, ...], Field(fail_fast=True)], ...] = Field(
        (), fail_fast=True, description="markets decided together; others follow by first appearance"
    )
    decision_interval_ms: Int | None = Field(None, ge=0, le=86_400_000, description="None: the model's own")
    use_yes_price: bool = Field(False, description="how the book channel was subscribed")
    probabilities: bool = Field(False, description="decisions carry the probability of every action")
    source: Literal["real"] | Provenance | None = Field(
        None, description="whose frames follow: real or its kind, or simulated; None: real"
    )
    model: str | None = Field(
        None,
        max_length=64,
        description="id of the only model that may answer; named, it may be a simulated one",
    )
    allow_simulated: bool = Field(
        False, description="real frames may be answered by a model that was judged on simulated data"
    )
    accept_missing_inputs: bool = Field(
        False, description="inputs that nobody tells may be shown as neutral values; answers are marked"
    )

    @property
    def is_real(self) -> bool:
        """True where the frames are the exchange's own, as far as the client says."""
        return self.source != "simulated"

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for k, spec in enumerate(self.markets):
            for name in ("open_ns", "close_ns"):
                time_ns = getattr(spec, name)
                if time_ns is not None and not SCHEDULE.holds(time_ns):
                    raise ValueError(strange_time(f"markets.{k}.{name}", time_ns, 1, SCHEDULE))
            if spec.fee_multiplier_e6 > _MAX_FEE_MULTIPLIER_E6:
                raise ValueError(
                    f"markets.{k}.fee_multiplier_e6={spec.fee_multiplier_e6} exceeds {_MAX_FEE_MULTIPLIER_E6}"
                )
            if len(spec.price_ranges) > MAX_BANDS:
                raise ValueError(f"markets.{k} has {len(spec.price_ranges)} price bands, at most {MAX_BANDS}")
        return self
