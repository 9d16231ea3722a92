"""The screen itself: header, list of markets, eight panels, keys. It knows snapshots and wishes, no session.

Narrow   below 140 cells or 40 lines one panel is shown, chosen by 1 to 8; else all eight.
Pause    holds list and panels; the header is always new.
Markup   is off everywhere: text from outside is shown as it is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.session.screen.dialogs import HelpDialog, ReasonDialog, YesNoDialog
from kalshi_platform.trading.session.screen.header import header_text
from kalshi_platform.trading.session.screen.market_list import MarketList
from kalshi_platform.trading.session.screen.panels import PANELS, PanelView, pressing
from kalshi_platform.trading.session.screen.screen_style import STYLE
from kalshi_platform.trading.session.screen.wishes import QUIT, Wish
from kalshi_platform.trading.session.snapshot import SessionSnapshot

_KEPT: Final = 3_600
_LOOK_S: Final = 0.5
_WIDE_CELLS: Final = 140
_WIDE_LINES: Final = 40
#: A wish that is not answered for so long is told of, with the other ways to halt.
_ANSWER_NS: Final = 3 * NS_PER_SECOND


class SessionPanel(VerticalScroll, can_focus=True):
    """One panel in a frame."""

    def __init__(self, key: int, name: str) -> None:
        super().__init__(id=name, classes="panel")
        self.border_title = f"{key} {name}"
        self.text = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Text of the panel."""
        yield self.text


class SessionApp(App[None]):
    """Screen of one session."""

    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    TITLE = "kalshi-platform trade"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,H", "halt", "halt"),
        Binding("r,R", "reduce", "reduce"),
        Binding("a,A", "resume", "resume"),
        Binding("c,C", "cancel", "cancel order"),
        Binding("x,X", "cancel_all", "cancel all"),
        Binding("p,P", "pause", "pause"),
        Binding("q,Q", "ask_quit", "quit"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("ctrl+c,ctrl+q", "quit_now", "end now", show=False, priority=True),
        *(Binding(str(n), f"panel({n})", name, show=False) for n, (name, _) in enumerate(PANELS, 1)),
    ]

    def __init__(
        self,
        ask: Callable[[Wish], None],
        wall_ns: Callable[[], int] = time.time_ns,
        folder: str = "the session's folder",
    ) -> None:
        """Begin without a snapshot; ``ask`` sends a wish to the session, whose folder is ``folder``."""
        super().__init__()
        self._ask, self._wall_ns, self._folder = ask, wall_ns, folder
        self.snapshot: SessionSnapshot | None = None
        self.equities_e6: deque[int] = deque(maxlen=_KEPT)
        self.is_paused = self._is_wide = False
        self.shown = PANELS[0][0]
        self.ready = asyncio.Event()  # set once snapshots may come
        self._header = Static("waiting for the session", id="header", markup=False)
        self._markets = MarketList()
        self._strip = Static(id="strip", markup=False)
        self._panels = {name: SessionPanel(key, name) for key, (name, _) in enumerate(PANELS, 1)}
        self._number = 0
        self._unanswered: dict[int, tuple[Wish, int]] = {}

    def compose(self) -> ComposeResult:
        """Header, markets, panels, keys."""
        yield from (self._header, self._markets, self._strip)
        with Container(id="panels"):
            yield from self._panels.values()
        yield Static(_KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin with the list, and look at the clock now and then."""
        self._markets.focus()
        self._arrange()
        self.set_interval(_LOOK_S, self.show_header)
        self.ready.set()

    def on_resize(self, event: events.Resize) -> None:
        """Show one panel or all of them; the app's own size is still the old one."""
        self._is_wide = event.size.width >= _WIDE_CELLS and event.size.height >= _WIDE_LINES
        self._arrange()
        self.call_after_refresh(self.show_panels)

    # What the session says

    def take(self, snapshot: SessionSnapshot) -> None:
        """Show a snapshot."""
        self.snapshot = snapshot
        self.equities_e6.append(snapshot.equity_e6)
        self.show_header()
        if not self.is_paused:
            self._markets.take(snapshot.markets)
            self.show_panels()

    def answered(self, number: int, refusal: str, said: str) -> None:
        """Take the session's answer to a wish: why it was refused, else what was done."""
        wish, _ = self._unanswered.pop(number, (None, 0))
        what = "an answer" if wish is None else wish.what
        if refusal:
            self.notify(f"{what}: {refusal}", severity="error", timeout=15, markup=False)
        else:
            self.notify(f"{what}: {said}", timeout=6, markup=False)
        self.show_header()

    # What is drawn

    def show_header(self) -> None:
        """Draw the first lines."""
        if self.snapshot is None:
            self._header.update(self._notice() or "waiting for the session's first figures")
        else:
            self._header.update(header_text(self.snapshot, self._wall_ns(), self._notice()))

    def _notice(self) -> str:
        """Words of the screen itself."""
        now_ns = self._wall_ns()
        for wish, asked_ns in self._unanswered.values():
            if wish.what == QUIT:
                return "ENDING: orders are being cancelled"
            if now_ns - asked_ns > _ANSWER_NS:
                return f"{wish.what} is not answered: make a file {self._folder}/HALT"
        return "PANELS PAUSED" if self.is_paused else ""

    def show_panels(self) -> None:
        """Draw the panels that are seen."""
        snapshot = self.snapshot
        if snapshot is None or not self.ready.is_set():
            return
        market = self._markets.selected
        for name, make in PANELS:
            panel = self._panels[name]
            if panel.display:
                width = panel.size.width or self.size.width
                panel.text.update(make(PanelView(snapshot, market, list(self.equities_e6), width)))
        n = pressing(snapshot)
        words = f"alarms({n})" if n else "alarms"
        self._panels["alarms"].border_title = f"7 {words}"
        strip = "".join(
            f"[{key} {name}]" if name == self.shown else f" {key} {name} "
            for key, (name, _) in enumerate(PANELS, 1)
        )
        self._strip.update(strip.replace("alarms", words))

    def _arrange(self) -> None:
        """Show one panel, or all of them where there is room."""
        self.screen_stack[0].set_class(self._is_wide, "wide")
        for name, panel in self._panels.items():
            panel.display = self._is_wide or name == self.shown

    def on_market_list_selected(self) -> None:
        """Show the book of another market."""
        self.show_panels()

    # Keys

    def wish(self, what: str, text: str) -> None:
        """Send a wish."""
        self._number += 1
        wish = Wish(self._number, what, text)
        self._unanswered[wish.number] = (wish, self._wall_ns())
        self._ask(wish)
        self.show_header()

    def action_halt(self) -> None:
        """Halt at once."""
        self.wish("halt", "key h on the terminal")

    def action_reduce(self) -> None:
        """Let only smaller positions through."""
        self.wish("reduce", "key r on the terminal")

    def action_resume(self) -> None:
        """Trade again, for a reason."""
        self.push_screen(ReasonDialog("Trade again. Why? It is noted in the recording."), self._resume)

    def _resume(self, reason: str | None) -> None:
        if reason:
            self.wish("resume", reason)
        else:
            self.notify("not resumed: no reason was given", markup=False)

    def action_cancel(self) -> None:
        """Cancel the order of the selected market."""
        market = self._markets.selected
        if market is None or not market.order_name:
            self.notify("no working order in the selected market", severity="warning", markup=False)
        else:
            self.wish("cancel", market.order_name)

    def action_cancel_all(self) -> None:
        """Cancel every working order."""
        self.wish("cancel all", "key x on the terminal")

    def action_pause(self) -> None:
        """Hold the panels, or let them go on."""
        self.is_paused = not self.is_paused
        self.show_header()
        if not self.is_paused and self.snapshot is not None:
            self._markets.take(self.snapshot.markets)
            self.show_panels()

    def action_panel(self, number: int) -> None:
        """Show a panel, and go to it."""
        self.shown = PANELS[number - 1][0]
        self._arrange()
        self._panels[self.shown].focus()
        self.call_after_refresh(self.show_panels)

    def action_help(self) -> None:
        """Show every key."""
        self.push_screen(HelpDialog())

    def action_ask_quit(self) -> None:
        """Ask whether to end the session."""
        question = "End the session? Working orders are cancelled, positions stay, the report is written."
        self.push_screen(YesNoDialog(question), lambda yes: self.action_quit_now() if yes else None)

    def action_quit_now(self) -> None:
        """End the session."""
        if not any(wish.what == QUIT for wish, _ in self._unanswered.values()):
            self.wish(QUIT, "ended at the terminal")

    async def action_quit(self) -> None:
        """End the session, not only the screen: a key of the library's own must not leave it unseen."""
        self.action_quit_now()

    def action_suspend_process(self) -> None:
        """Refuse: a session whose screen is stopped goes on unseen."""
        self.notify("Ctrl-Z is off here: q ends the session, h halts it", severity="warning", markup=False)


_KEYS: Final = " h halt  r reduce  a resume  c cancel  x cancel all  p pause  q quit  ? help"
