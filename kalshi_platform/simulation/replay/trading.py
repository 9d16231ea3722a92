"""Settings of trading and of the observation, on which replay and live serving must agree.

Owns   slots, feature sets (``groups``), the execution model's settings, capital and the decision interval.
Not    the reward: ``simulation/envs/config.py`` adds it, and a model's record carries the whole as JSON.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.fees import DIRECT_UNIT_E6, NON_DIRECT_UNIT_E6
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.simulation.replay.planning import ExecutionParams
from kalshi_platform.simulation.replay.sending import SendParams

OrderStyle = Literal["taker", "maker"]
FeeTime = Literal["as_of", "today"]
HoldMeaning = Literal["keep", "cancel"]
Sizing = Literal["full", "taper"]


class TradingConfig(Config):
    """Settings of one environment's slots: how a policy observes them and how it trades in them."""

    n_slots: int = Field(
        5,
        ge=1,
        le=64,
        description="markets traded at the same time; empty slots are masked",
        json_schema_extra={"unit": "markets"},
    )
    groups: tuple[str, ...] = Field(("orderbook", "temporal"), description="feature sets observed a slot")
    order_style: OrderStyle = Field("taker", description="taker crosses the spread, maker rests in the book")
    latency_ms: int = Field(50, ge=0, description="from decision to the exchange's book: the order leg")
    feed_latency_ms: int = Field(
        0,
        ge=0,
        description="from the exchange's book to the observation: the feed leg, beyond what was recorded",
    )
    latency_sigma: float = Field(
        0.0,
        ge=0,
        le=2,
        description="spread of both legs: 0 = constant; else log-normal, the settings their medians (p99 = "
        "exp(2.33 x sigma) times the median)",
    )
    decision_interval_ms: int = Field(
        0, ge=0, description="least time between two decisions; 0 = a decision at every message"
    )
    order_qty_e2: int = Field(1_000, gt=0, description="size of one order, 1e-2 contract")
    sizing: Sizing = Field(
        "full",
        description="size of a buy: full = order_qty_e2; taper = order_qty_e2 times the free share of the "
        "position limit, at least one contract",
    )
    position_limit_e2: int = Field(5_000, gt=0, description="largest position a market, 1e-2 contract")
    capital_e6: int = Field(200_000_000, gt=0, description="cash at the start of an episode, 1e-6 dollar")
    order_ttl_ms: int = Field(
        60_000, gt=0, description="life of a resting order; the action that keeps it begins it anew"
    )
    hold: HoldMeaning = Field(
        "keep",
        description="what HOLD does with a resting order: keep leaves it in the book, cancel cancels it",
    )
    max_slippage_e4: int = Field(
        100, ge=0, lt=10_000, description="taker limit beyond the best price, 1e-4 dollar"
    )
    improve_ticks: int = Field(
        0, ge=0, le=10, description="maker: ticks better than the best bid; 0 joins it"
    )
    maker_queue: bool = Field(
        True, description="False: nobody stands before a resting order; for what-if replays only"
    )
    unknown_fill_e2: int = Field(100, gt=0, description="most an order fills where sizes were not recorded")
    fee_scale_e6: int = Field(
        1_000_000,
        ge=0,
        description="fee ladder: 0 none, 1_000_000 the exchange's fees",
        json_schema_extra={"unit": "1e-6 of the fees"},
    )
    fees: FeeTime = Field("as_of", description="fees in force at the time of a fill, or those of today")
    direct_member: bool = Field(
        True, description="balance in 1e-4 dollar (direct) or cents (through a broker)"
    )

    @model_validator(mode="after")
    def _order_fits(self) -> Self:
        if self.order_qty_e2 > self.position_limit_e2:
            raise ValueError(
                f"order_qty_e2={self.order_qty_e2} exceeds position_limit_e2={self.position_limit_e2}: "
                "no order could ever be sent"
            )
        return self

    @property
    def execution(self) -> ExecutionParams:
        """Scalars that the execution kernels take."""
        unit_e6 = DIRECT_UNIT_E6 if self.direct_member else NON_DIRECT_UNIT_E6
        return ExecutionParams(
            maker=self.order_style == "maker",
            latency_ns=self.latency_ms * NS_PER_MS,
            order_ttl_ns=self.order_ttl_ms * NS_PER_MS,
            order_qty_e2=self.order_qty_e2,
            position_limit_e2=self.position_limit_e2,
            max_slippage_e4=self.max_slippage_e4,
            improve_ticks=self.improve_ticks,
            unknown_fill_e2=self.unknown_fill_e2,
            fee_scale_e6=self.fee_scale_e6,
            unit_e6=unit_e6 if self.fee_scale_e6 else 1,
            fees_today=self.fees == "today",
            maker_queue=self.maker_queue,
        )

    @property
    def sending(self) -> SendParams:
        """Scalars that only the sending of an order takes; the seed is the environment's to set."""
        return SendParams(
            hold_cancels=self.hold == "cancel",
            tapers=self.sizing == "taper",
            feed_ns=self.feed_latency_ms * NS_PER_MS,
            latency_sigma=self.latency_sigma,
            seed=0,
        )

    @property
    def interval_ns(self) -> int:
        """Least time between two decisions; 0 = a decision at every message."""
        return self.decision_interval_ms * NS_PER_MS

    @classmethod
    def of_environment(cls, environment: Mapping[str, Any]) -> Self:
        """Trading settings out of a recorded ``EnvConfig`` (its JSON); everything else in it is ignored.

        ContractError where a value is refused.
        """
        return cls.parse({name: environment[name] for name in cls.model_fields if name in environment})
