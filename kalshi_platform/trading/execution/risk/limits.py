"""Limits of one account, read from a TOML file; every key is known, every value exact.

Units     dollars and contracts are decimal numbers in the file ("25.00" or 25.0) and whole numbers of 1e-6
          dollar and 1e-2 contract here; a value that is finer, NaN or infinite is refused.
Worst     a loss limit looks at the worst outcome: every resting order fills, and the market settles against
          the position. An order of unknown outcome counts as filled.
TOML      a key that stands twice is an error there; YAML would take the last one without a word.
"""

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.near import nearest
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, DOLLAR_E6

_DIGITS: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
#: Categories that the exchange has had; a limit for a new one is taken, one for a misspelt one is refused.
KNOWN_CATEGORIES: Final = (
    "Climate and Weather", "Commodities", "Companies", "COVID-19", "Crypto", "Economics", "Education",
    "Elections", "Entertainment", "Exotics", "Financials", "Health", "Mentions", "Politics",
    "Science and Technology", "Social", "Sports", "Transportation", "World",
)  # fmt: skip


def _number(value: object) -> object:
    """Number as TOML or JSON holds it; true, false and text are none."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # noqa: TRY004  pydantic shows ValueError only
    if isinstance(value, str):
        raise ValueError("text is no whole number: write it without quotes")  # noqa: TRY004
    return value


def _decimal(value: object) -> object:
    """Decimal of a number as TOML or JSON holds it, or of plain digits in quotes; a bool is none."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return Decimal(value)
    return Decimal(repr(value)) if isinstance(value, float) else _number(value)


def _category(name: str) -> str:
    """Return ``name``; ValueError for a known category misspelt: it would limit nothing."""
    near = nearest(name, dict.fromkeys(KNOWN_CATEGORIES, ""))
    if name not in KNOWN_CATEGORIES and near:
        raise ValueError(f"no market has the category {name!r}; did you mean {near[0]!r}?")
    return name


Whole = Annotated[int, BeforeValidator(_number), Field(le=10**12)]
Hours = Annotated[float, BeforeValidator(_number), Field(le=24 * 366, allow_inf_nan=False)]
Category = Annotated[str, AfterValidator(_category)]
Usd = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=10**9, decimal_places=6)]
Price = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=1, decimal_places=4)]
Contracts = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=10**9, decimal_places=2)]


class RiskLimits(Config):
    """Limits of one account; an order that would pass one of them does not go out."""

    # One order
    order_contracts: Contracts = Field(Decimal(10), description="size of one order")
    order_cost_usd: Usd = Field(
        Decimal(5), description="cash that one order costs, fees too; what closes a position costs its fees"
    )
    price_distance_usd: Price = Field(
        Decimal("0.05"), description="distance of a price through the best price of the other side"
    )
    spread_usd: Price = Field(Decimal("0.20"), description="spread at which no order goes out any more")
    # Sums over what is held and what rests, at the worst outcome
    market_contracts: Contracts = Field(Decimal(50), description="position in one market with its orders")
    market_orders: Whole = Field(10, ge=0, description="orders that work in one market")
    market_loss_usd: Usd = Field(Decimal(25), description="loss of one market at its worst outcome")
    event_loss_usd: Usd = Field(Decimal(50), description="loss of one event's markets, their worst added")
    category_loss_usd: Usd = Field(Decimal(100), description="the same for each category")
    category_losses_usd: dict[Category, Usd] = Field(
        default_factory=dict, description="other values for named categories"
    )
    account_loss_usd: Usd = Field(Decimal(200), description="the same for the whole account")
    shard_cash_usd: Usd = Field(Decimal(0), description="cash that stays on the market's shard")
    # One day, UTC
    day_orders: Whole = Field(2_000, ge=0, description="orders sent in one day")
    day_contracts: Contracts = Field(
        Decimal(2_000), description="contracts of one day, with those on their way"
    )
    day_spend_usd: Usd = Field(
        Decimal(500),
        description="cash spent on fills in one day, and on their way; nothing netted: a sale counts as "
        "buying the other outcome",
    )
    day_loss_usd: Usd = Field(Decimal(50), description="loss since midnight UTC that halts trading")
    # Rolling: midnight changes nothing
    drawdown_usd: Usd = Field(Decimal(50), description="fall from the best of the window that halts trading")
    drawdown_window_h: Hours = Field(72.0, gt=0, description="that window")
    losing_streak: Whole = Field(
        10, ge=1, description="markets lost in a row, sold or paid, that leave exits only"
    )
    # Pace and freshness
    orders_per_second: Whole = Field(5, ge=0, description="orders sent within any second")
    orders_per_minute: Whole = Field(120, ge=0, description="orders sent within any minute")
    book_age_ms: Whole = Field(
        5_000,
        gt=0,
        description="age of the newest message of any market: a quiet book is as young as the stream",
    )
    model_age_ms: Whole = Field(5_000, gt=0, description="time since the model was last well")
    decision_age_ms: Whole = Field(2_000, gt=0, description="time from the decision to the order")
    clock_skew_ms: Whole = Field(
        2_000, gt=0, description="difference of the clocks, this machine and exchange"
    )
    region_margin_h: Hours = Field(24.0, ge=0, description="time before the key's attested location expires")

    def category_loss_e6(self, category: str) -> int:
        """Limit of one category, 1e-6 dollar."""
        return usd_e6(self.category_losses_usd.get(category, self.category_loss_usd))


def read_limits(path: Path) -> RiskLimits:
    """Limits in the TOML file ``path``; ContractError names each unknown key and each unfit value."""
    try:
        raw = path.read_bytes()
        values = tomllib.loads(raw.decode("utf-8"), parse_float=Decimal)
    except OSError as err:
        raise ContractError(f"{path}: the limits cannot be read ({err.strerror or err})") from None
    except (ValueError, RecursionError) as err:  # TOML's own among them; nested or of thousands of digits
        words = f"{path}: is no TOML ({err}); write lines such as order_cost_usd = 5.00"
        raise ContractError(words) from None
    try:
        return RiskLimits.parse(values)
    except ContractError as err:
        raise ContractError(f"{path}: {err}") from None


def usd_e6(value: Decimal) -> int:
    """Dollars as 1e-6 dollar."""
    return int(value * DOLLAR_E6)


def usd_e4(value: Decimal) -> int:
    """A price as 1e-4 dollar."""
    return int(value * DOLLAR_E4)


def contracts_e2(value: Decimal) -> int:
    """Contracts as 1e-2 contract."""
    return int(value * CONTRACT_E2)
