"""Figures in words for a terminal: fixed widths, and ``unknown`` where there is no figure.

Nothing that comes from outside is markup, and no character of it can move the cursor (``clean``).
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, DOLLAR_E6, NS_PER_SECOND

UNKNOWN: Final = "unknown"
MOST_CHARACTERS: Final = 500
_LONG_PRICE: Final = re.compile(r"(@ \d\.\d\d)00\b")
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def clean(text: str) -> str:
    """Text without characters that do more than stand there: controls, line ends, changes of direction.

    A very long text is cut: it would be wrapped anew with every snapshot.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MOST_CHARACTERS])


def cropped(text: str, width: int) -> str:
    """Clean text in exactly ``width`` cells; of a longer one the middle is left out."""
    plain = clean(text)
    if cell_len(plain) <= width:
        return set_cell_size(plain, width)
    tail = max(width - 1, 0) // 2
    head = set_cell_size(plain, max(width - 1 - tail, 0))
    return set_cell_size(f"{head}…{set_cell_size(plain[::-1], tail)[::-1]}"[: max(width, 0)], width)


def is_known(value: float | None) -> bool:
    """True for a number."""
    return value is not None and math.isfinite(value)


def dollars(value_e6: float | None, *, signed: bool = False) -> str:
    """Dollars with cents."""
    if value_e6 is None or not math.isfinite(value_e6):
        return UNKNOWN
    return f"{value_e6 / DOLLAR_E6:{'+' if signed else ''}.2f}"


def price(price_e4: float | None) -> str:
    """Price in dollars without needless zeros, two decimals at least."""
    if price_e4 is None or not math.isfinite(price_e4):
        return UNKNOWN
    text = f"{price_e4 / DOLLAR_E4:.4f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def contracts(qty_e2: float | None) -> str:
    """Contracts, without decimals where they are whole."""
    if qty_e2 is None or not math.isfinite(qty_e2):
        return UNKNOWN
    return f"{qty_e2 / CONTRACT_E2:.2f}".removesuffix(".00")


def fitted(figure: str, width: int) -> str:
    """Figure at the right of ``width`` cells: without decimals where it is too long, never cut."""
    shown = figure if len(figure) <= width else figure.partition(".")[0]
    return shown.rjust(width) if len(shown) <= width else "large".rjust(width)


def milliseconds(value_ms: float | None) -> str:
    """Milliseconds with three digits that count."""
    if value_ms is None or not math.isfinite(value_ms):
        return UNKNOWN
    decimals = 0 if abs(value_ms) >= 100 else 1 if abs(value_ms) >= 10 else 2
    return f"{value_ms:.{decimals}f}"


def seconds(passed_ns: int | None) -> str:
    """Age in words, such as 0.4 s or 12 min."""
    if passed_ns is None:
        return UNKNOWN
    passed_s = max(passed_ns, 0) / NS_PER_SECOND
    if passed_s < 10:
        return f"{passed_s:.1f} s"
    return f"{passed_s:.0f} s" if passed_s < 120 else f"{passed_s / 60:.0f} min"


def elapsed(passed_ns: int) -> str:
    """Hours, minutes and seconds."""
    whole = max(passed_ns, 0) // NS_PER_SECOND
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def time_of_day(at_ns: int) -> str:
    """Time of day, UTC."""
    try:
        return f"{datetime.fromtimestamp(at_ns / NS_PER_SECOND, UTC):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return UNKNOWN


def short_order(words: str) -> str:
    """Order without needless zeros: "BUY_YES 10.00 @ 0.4300" becomes "BUY_YES 10 @ 0.43"."""
    return _LONG_PRICE.sub(r"\1", clean(words).replace(".00 @", " @"))


def bar(value: float, most: float, width: int) -> str:
    """Share used, drawn in ``width`` characters."""
    full = width if most <= 0 else min(width, max(0, round(width * value / most)))
    return "#" * full + "." * (width - full)


def sparkline(values: Sequence[int], width: int) -> str:
    """At most ``width`` blocks between the least and the most value; the last block is the last value."""
    n = min(len(values), max(width, 0))
    shown = [values[(i + 1) * len(values) // n - 1] for i in range(n)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if low == high:
        return _BLOCKS[3] * len(shown)
    return "".join(_BLOCKS[(v - low) * (len(_BLOCKS) - 1) // (high - low)] for v in shown)
