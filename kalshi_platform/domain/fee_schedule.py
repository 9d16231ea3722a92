"""Fee terms, and the terms assumed where no source tells a market's own: by series and by date.

Owns       FeeTerms and FeeStep, the dates of the rounding rules, the defaults of docs/exchange.md, "Fees".
Rounding   ``cent_per_order``  to the end of 2025: the fee of a whole order, up to the cent
           ``centicent``       2026: trade fee up to 1e-4 dollar; the accumulator pays back whole cents
           ``micro``           now: trade fee up to 1e-6 dollar; it pays back whole units of the balance
Dates      the exchange changed ``centicent`` to ``micro`` between 22 August and 23 September 2026, on a day
           that nobody published. The latest day is taken, because ``centicent`` gives back less. For the
           same reason a reduced fee holds in the time for which it was seen, the full one outside that time.
Not here   what metadata and frames tell (``fee_history.py``); the arithmetic (``fees.py``).
"""

import re
from typing import Final, Literal, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import FeeType, MarketSpec
from kalshi_platform.domain.units import parse_rfc3339

FeeRounding = Literal["micro", "centicent", "cent_per_order"]
#: known: told with the time from which it holds · assumed_since_open: told without a time, taken to have held
#: all along · assumed: a default of this module
FeeSource = Literal["known", "assumed_since_open", "assumed"]

#: From the best known to the least.
SOURCES: Final[tuple[FeeSource, ...]] = ("known", "assumed_since_open", "assumed")
#: The first step of every market's fees begins here, ns since 1970.
BEGINNING_NS: Final = 0
FULL_MULTIPLIER_E6: Final = 1_000_000
_HALF_E6: Final = 500_000

_CENTICENT_NS: Final = parse_rfc3339("2026-01-01T00:00:00Z")
_MICRO_NS: Final = parse_rfc3339("2026-09-23T00:00:00Z")
_ROUNDINGS: Final[tuple[tuple[int, FeeRounding], ...]] = (
    (BEGINNING_NS, "cent_per_order"),
    (_CENTICENT_NS, "centicent"),
    (_MICRO_NS, "micro"),
)
#: Day of the exchange's fee sheet that sets the multiplier of _FREE to 0.
_FREE_NS: Final = parse_rfc3339("2026-07-07T00:00:00Z")
_FREE: Final = frozenset({
    "KXBTCY", "KXETHY", "KXDOED", "KXGREENLAND", "KXLAYOFFSYINFO", "KXCITRINI", "KXELECTIRAN",
    "KXGAMBLINGREPEAL", "KXIRANDEMOCRACY", "KXPAHLAVIHEAD",
})  # fmt: skip
_MAKER_FEES: Final = frozenset({
    "KXNFLGAME", "KXMLBGAME", "KXWNBAGAME", "KXFED", "KXFEDDECISION", "KXCPI", "KXCPIYOY", "KXGDP",
    "KXPAYROLLS", "KXU3", "KXINXY", "KXNASDAQ100Y",
})  # fmt: skip
#: Daily and hourly markets on the S&P 500 and the Nasdaq-100: half the fee to the end of 2025.
_INDEX_DAY: Final = re.compile(r"(KX)?(INX|NASDAQ100)[DU]?")
_BASEBALL: Final = "KXMLBGAME"  # half the fee in August and September 2026
_BASEBALL_NS: Final = (parse_rfc3339("2026-08-01T00:00:00Z"), parse_rfc3339("2026-10-01T00:00:00Z"))
_COMBO_PREFIX: Final = "KXMVE"


class FeeTerms(Config):
    """Terms under which a market's fills pay fees."""

    fee_type: FeeType = "quadratic"
    fee_multiplier_e6: int = Field(default=FULL_MULTIPLIER_E6, ge=0, description="fee_multiplier in 1e-6")
    rounding: FeeRounding = "micro"
    source: FeeSource = "assumed"


class FeeStep(Config):
    """Terms in force from ``from_ns`` (ns since 1970) until the next step of the market."""

    from_ns: int
    terms: FeeTerms


#: Fees of a market of which nothing is known, not even its series.
ASSUMED_FEES: Final = (FeeStep(from_ns=BEGINNING_NS, terms=FeeTerms()),)


class FeeDefault(NamedTuple):
    """Type and multiplier assumed of a series from ``from_ns`` on."""

    from_ns: int
    fee_type: FeeType
    fee_multiplier_e6: int


def series_of(event: str) -> str:
    """Series that an event's ticker names: its part before the first '-'."""
    return event.partition("-")[0]


def default_fees(series: str) -> tuple[FeeDefault, ...]:
    """Fees assumed of ``series`` over time, the first from the beginning of time.

    A series that the exchange's documents do not name pays ``quadratic`` times 1, as almost all do.
    """
    if series.startswith(_COMBO_PREFIX):
        return (FeeDefault(BEGINNING_NS, "quadratic_with_combo_maker_fees", FULL_MULTIPLIER_E6),)
    kind: FeeType = "quadratic_with_maker_fees" if series in _MAKER_FEES else "quadratic"
    full = FeeDefault(BEGINNING_NS, kind, FULL_MULTIPLIER_E6)
    if series in _FREE:
        return full, FeeDefault(_FREE_NS, kind, 0)
    if series == _BASEBALL:
        begin_ns, end_ns = _BASEBALL_NS
        return full, FeeDefault(begin_ns, kind, _HALF_E6), full._replace(from_ns=end_ns)
    if _INDEX_DAY.fullmatch(series):
        half = full._replace(fee_multiplier_e6=_HALF_E6)
        return half, full._replace(from_ns=_CENTICENT_NS)  # the first instant of 2026
    return (full,)


def constant_fees(spec: MarketSpec) -> tuple[FeeStep, ...]:
    """Fees that ``spec`` tells, taken to hold all the time, at the rounding of today."""
    terms = FeeTerms(
        fee_type=spec.fee_type, fee_multiplier_e6=spec.fee_multiplier_e6, source="assumed_since_open"
    )
    return (FeeStep(from_ns=BEGINNING_NS, terms=terms),)


def rounding_at(at_ns: int) -> FeeRounding:
    """Rounding rule of the exchange at ``at_ns``."""
    return next(rounding for from_ns, rounding in reversed(_ROUNDINGS) if at_ns >= from_ns)


def rounding_starts_ns() -> tuple[int, ...]:
    """Times at which a rounding rule began, in order."""
    return tuple(from_ns for from_ns, _ in _ROUNDINGS)


def terms_at(steps: tuple[FeeStep, ...], at_ns: int) -> FeeTerms:
    """Terms in force at ``at_ns``; the first step's before all steps."""
    found = steps[0].terms
    for step in steps:
        if step.from_ns > at_ns:
            break
        found = step.terms
    return found


def weakest_source(steps: tuple[FeeStep, ...], first_ns: int, last_ns: int) -> FeeSource:
    """Source of the least known terms that were in force at any time from ``first_ns`` to ``last_ns``."""
    held = [terms_at(steps, first_ns), *(s.terms for s in steps if first_ns < s.from_ns <= last_ns)]
    return max((terms.source for terms in held), key=SOURCES.index)


def terms_today(steps: tuple[FeeStep, ...]) -> FeeTerms:
    """Newest terms known of the market: those that a fill of today would pay, at today's rounding."""
    return steps[-1].terms.replace(rounding="micro")
