"""First lines of the screen: whose money this is, the state, the account, and how old all of it is."""

from typing import Final

from rich.text import Text

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.session.screen.wording import (
    clean,
    dollars,
    elapsed,
    seconds,
)
from kalshi_platform.trading.session.snapshot import SessionSnapshot, whose_money

#: A snapshot older than this says nothing of the present any more.
STALE_NS: Final = 4 * NS_PER_SECOND
_STATE_STYLES: Final = {"active": "bold black on green", "reducing": "bold black on yellow"}
_ALARM: Final = "bold white on red"


def _money_style(snapshot: SessionSnapshot) -> str:
    """Style of the words for the money: real money is never drawn like other money."""
    if snapshot.mode == "live":
        return _ALARM
    return "bold black on cyan" if snapshot.is_simulated else "bold black on yellow"


def newest_row_ns(snapshot: SessionSnapshot) -> int | None:
    """Time of the newest row of any market; None where none has come."""
    return max((market.row_ns for market in snapshot.markets if market.row_ns > 0), default=None)


def header_text(snapshot: SessionSnapshot, now_ns: int, notice: str) -> Text:
    """Four lines; ``notice`` is what the screen itself has to say, such as a wish that nobody answers."""
    text = Text()
    text.append(f" {whose_money(snapshot.mode, snapshot.is_simulated)} ", _money_style(snapshot))
    text.append(
        f" mode {clean(snapshot.mode)}, model {clean(snapshot.model)} ({clean(snapshot.alias)})\n", "bold"
    )
    cautions = "; ".join(map(clean, snapshot.cautions))
    text.append(f" caution: {cautions}\n" if cautions else " judged on real data\n", "yellow")
    _append_state(text, snapshot)
    behind_ns = now_ns - snapshot.now_ns
    if notice:
        text.append(f" {clean(notice)} ", "bold black on yellow")
    if behind_ns > STALE_NS:
        text.append(f" NO NEWS FROM THE SESSION FOR {seconds(behind_ns)}: all figures are old ", _ALARM)
        return text
    newest_ns = newest_row_ns(snapshot)
    age = seconds(None if newest_ns is None else now_ns - newest_ns)
    text.append(
        f" P&L {dollars(snapshot.pnl_e6, signed=True)} $, equity {dollars(snapshot.equity_e6)} $, "
        f"{elapsed(now_ns - snapshot.started_ns)}, newest book {age} old"
    )
    return text


def _append_state(text: Text, snapshot: SessionSnapshot) -> None:
    """Append state and reason; ACTIVE is no green light where something else holds the orders back."""
    still = "; ".join(map(clean, snapshot.standstill))
    is_held = bool(still) and snapshot.state == "active"
    style = _STATE_STYLES["reducing"] if is_held else _STATE_STYLES.get(snapshot.state, _ALARM)
    text.append(f" {clean(snapshot.state).upper()} ", style)
    reason = clean(snapshot.state_why) or "no reason given"
    text.append(f" NO ORDER GOES OUT: {still}\n" if is_held else f" {reason}\n")
