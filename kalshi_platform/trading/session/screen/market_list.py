"""List of markets: drawn line by line from the newest snapshot, so that 500 of them cost what a screen shows.

Order     markets with a position or an order first, then by ticker.
Selected  by ticker: where the list moves, the selection stays with its market.
"""

from typing import ClassVar, Final

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kalshi_platform.trading.session.screen.panels import pnl_e6
from kalshi_platform.trading.session.screen.wording import (
    UNKNOWN,
    contracts,
    cropped,
    dollars,
    fitted,
    price,
    short_order,
)
from kalshi_platform.trading.session.snapshot import MarketStand

#: Heading and cells of each column after the ticker. A narrow list leaves out the cost, which the book's
#: panel shows too: tickers that differ in their day alone must not look alike.
_NARROW_COLUMNS: Final = (("bid", 7), ("ask", 7), ("held", 7), ("value", 7), ("P&L", 8), ("order", 17))
_WIDE_COLUMNS: Final = (
    ("bid", 7), ("ask", 7), ("held", 7), ("cost", 7), ("value", 7), ("P&L", 8), ("order", 24), ("queue", 9),
)  # fmt: skip
_WIDE: Final = 112
_HEADINGS: Final = 1
_HEADING_STYLE: Final = Style(dim=True, bold=True)
_SELECTED_STYLE: Final = Style(reverse=True)
_LOST_STYLE: Final = Style(dim=True)


class MarketList(ScrollView, can_focus=True):
    """Every market with a slot or a position; arrow keys and the mouse select one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "move(-1000000)", "first", show=False),
        Binding("end", "move(1000000)", "last", show=False),
    ]

    class Selected(Message):
        """Another market is selected."""

    def __init__(self) -> None:
        super().__init__(id="markets")
        self.markets: list[MarketStand] = []
        self.ticker = ""

    @property
    def selected(self) -> MarketStand | None:
        """Selected market; the first where the selected one is gone."""
        found = next((market for market in self.markets if market.ticker == self.ticker), None)
        return found or (self.markets[0] if self.markets else None)

    @property
    def at(self) -> int:
        """Line of the selected market, from 0."""
        return next((i for i, market in enumerate(self.markets) if market.ticker == self.ticker), 0)

    def take(self, markets: tuple[MarketStand, ...]) -> None:
        """Show these markets."""
        self.markets = sorted(markets, key=lambda m: (m.position_e2 == 0 and not m.order, m.ticker))
        chosen = self.selected
        self.ticker = "" if chosen is None else chosen.ticker
        self.on_resize()
        self.refresh()

    def action_move(self, by: int) -> None:
        """Select the market ``by`` lines below."""
        if not self.markets:
            return
        at = min(max(self.at + by, 0), len(self.markets) - 1)
        self.ticker = self.markets[at].ticker
        self.scroll_to_region(Region(0, at, 1, 1 + _HEADINGS), animate=False, force=True)
        self.refresh()
        self.post_message(self.Selected())

    def action_page(self, by: int) -> None:
        """Select the market a page below."""
        self.action_move(by * max(self.size.height - 1 - _HEADINGS, 1))

    def on_click(self, event: events.Click) -> None:
        """Select the market that was clicked."""
        line = event.y - _HEADINGS
        if line >= 0 and self.scroll_offset.y + line < len(self.markets):
            self.action_move(self.scroll_offset.y + line - self.at)

    def on_resize(self) -> None:
        """Let lines begin anew at another width."""
        width = self.scrollable_content_region.width
        self.virtual_size = Size(width, len(self.markets) + _HEADINGS)

    def render_line(self, y: int) -> Strip:
        """One line; the headings stay."""
        width = self.scrollable_content_region.width
        if y < _HEADINGS:
            text, style = headings(width), _HEADING_STYLE
        else:
            at = self.scroll_offset.y + y - _HEADINGS
            if at >= len(self.markets):
                words = "no market yet" if not self.markets and at == 0 else ""
                return Strip([Segment(cropped(words, width), self.rich_style)], width)
            market = self.markets[at]
            text, style = market_line(market, width), Style() if market.is_valid else _LOST_STYLE
            if market.ticker == self.ticker:
                style += _SELECTED_STYLE
        return Strip([Segment(text, self.rich_style + style)], width)


def _ticker_width(width: int) -> int:
    """Cells left for the ticker."""
    return max(width - sum(cells + 1 for _, cells in _columns(width)), 6)


def _columns(width: int) -> tuple[tuple[str, int], ...]:
    """Columns after the ticker at this width."""
    return _NARROW_COLUMNS if width < _WIDE else _WIDE_COLUMNS


def headings(width: int) -> str:
    """Line above the markets."""
    cells = [cropped("market", _ticker_width(width))]
    cells += [name.ljust(n) if name == "order" else name.rjust(n) for name, n in _columns(width)]
    return set_cell_size(" ".join(cells), width)


def market_line(market: MarketStand, width: int) -> str:
    """Line of a market in exactly ``width`` cells."""
    is_valid = market.is_valid
    figures = {
        "bid": _side(market.bid_e4, is_valid), "ask": _side(market.ask_e4, is_valid),
        "held": contracts(market.position_e2), "cost": dollars(market.cost_e6),
        "value": dollars(market.value_e6), "P&L": dollars(pnl_e6(market), signed=True),
        "order": (short_order(market.order) or "-") if market.is_traded else "not traded here",
        "queue": contracts(market.queue_e2) if market.order else "-",
    }  # fmt: skip
    cells = [cropped(market.ticker, _ticker_width(width))]
    for name, n in _columns(width):
        shown = figures[name]
        cells.append(cropped(shown, n) if name == "order" else fitted(shown, n))
    return set_cell_size(" ".join(cells), width)


def _side(price_e4: int | None, is_valid: bool) -> str:
    """Best price of a side; unknown where the book is, none where the side is empty."""
    if not is_valid:
        return UNKNOWN
    return "none" if price_e4 is None else price(price_e4)
