"""How figures are written on every page and in every table.

Units  fractions in percent, money in dollars, times in milliseconds or UTC; each with its unit.
"""

import math
from datetime import UTC, datetime

from kalshi_platform.domain.units import DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.evaluation.statistics.blocks import decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import Interval


def percent(value: float) -> str:
    """A fraction as percent with as many digits as it needs."""
    if abs(value) < 5e-7:
        return "0 %"
    digits = max(0, min(4, 1 - math.floor(math.log10(abs(value) * 100))))
    return f"{value * 100:.{digits}f} %"


def signed_percent(value: float) -> str:
    """A return as percent with its sign: "+5.63 %", and more digits where it is small; zero is "0 %"."""
    if abs(value) < 5e-4:
        return f"+{percent(value)}" if value > 5e-7 else percent(value)
    return f"{value * 100:+.2f} %"


def share(value: float) -> str:
    """A share of a whole in percent to the tenth: 99.4 and 99.9 are far apart."""
    return f"{value * 100:.1f} %"


def probability(value: float) -> str:
    """An estimated probability as a share; never certain."""
    return "> 99.9 %" if value > 0.999 else "< 0.1 %" if value < 0.001 else share(value)


def plain(value: float) -> str:
    """A number with four significant digits."""
    return f"{value:.4g}"


def whole(value: float) -> str:
    """A number to the unit: "12,300"."""
    return f"{value:,.0f}"


def ms(value: float | None) -> str:
    """Milliseconds with three significant digits, "0.812 ms"; "-" where unknown."""
    if value is None:
        return "-"
    rounded = float(f"{value:.3g}")  # 0.9996 is 1.00, not 1.000
    digits = 2 if rounded == 0 else max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:.{digits}f} ms"


def dollars(cash_e6: float) -> str:
    """Cash rounded to the cent: -1_250_000 -> "-1.25 $"."""
    return f"{cash_e6 / DOLLAR_E6:,.2f} $"


def utc(time_ns: int) -> str:
    """Time to the minute, UTC."""
    return datetime.fromtimestamp(time_ns / NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def blocks_text(n_blocks: int, n_events: int) -> str:
    """The number of independent blocks and of the events in them."""
    blocks = f"{n_blocks:,} independent block{'' if n_blocks == 1 else 's'}"
    return f"{blocks}, one an event" if n_blocks == n_events else f"{blocks} of {n_events:,} events"


def ratio(value: float | None) -> str:
    """A Sharpe ratio or consistency with three decimals; "-" where nothing can be said."""
    return "-" if value is None else f"{value:.3f}"


def severity(kind: str) -> str:
    """Words for how much a finding about a policy and its data weighs: "error" is the program's own word."""
    return {"error": "serious finding", "warning": "finding", "info": "note"}[kind]


def interval_text(i: Interval) -> str:
    """Estimate and bounds in percent, or why there are none."""
    if i.estimate is None:
        return "no data"
    if i.low is None or i.high is None:
        few = decides_nothing(i.n_clusters)
        return f"{percent(i.estimate)} ({few if few and few == i.note else f'no interval: {i.note}'})"
    return f"{percent(i.estimate)} [{percent(i.low)}, {percent(i.high)}]"
