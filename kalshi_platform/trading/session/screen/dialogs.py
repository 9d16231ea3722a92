"""Dialogs over the screen: a reason, a yes or no, help. In all of them but the reason ``h`` still halts."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kalshi_platform.trading.session.screen.wishes import MOST_CHARACTERS

HELP: Final = """\
h  halt now: no order goes out, all working orders are cancelled
r  reduce: only orders that make a position smaller go out
a  active again: asks for a reason, and says what stands against it
c  cancel the working order of the selected market
x  cancel all working orders; trading goes on
p  pause the panels and go on; the lines on top are always new
q  end the session (asks first); Ctrl-C ends it at once.
   The report is written either way.

up, down, PageUp, PageDown, Home, End, mouse: select a market
1 to 8: a panel. Tab: list, panel and back.
unknown: not told yet, or the book was lost; it never means 0
none: that side of the book is empty

Without this screen a file HALT in the session's folder, or the
signal SIGUSR1, halts as well. Escape closes this."""


class ReasonDialog(ModalScreen[str]):
    """Asks for a reason; answers with an empty text where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "back")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Question and line."""
        with VerticalScroll(classes="dialog"):
            yield Static(self._question, markup=False)
            yield Input(placeholder="reason", max_length=MOST_CHARACTERS, id="reason")
            yield Static("Enter: do it. Escape: back.", markup=False)

    def on_mount(self) -> None:
        """Write into the line at once."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer."""
        self.dismiss(event.value.strip())


class YesNoDialog(ModalScreen[bool]):
    """Asks a question."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "dismiss(True)", "yes"),
        Binding("n,N,escape,q,Q", "dismiss(False)", "no"),
        Binding("h,H", "app.halt", "halt"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Question and keys."""
        with VerticalScroll(classes="dialog"):
            yield Static(self._question, markup=False)
            yield Static("y: yes. n or Escape: no. h: halt.", markup=False)


class HelpDialog(ModalScreen[None]):
    """Every key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter,space", "dismiss", "back"),
        Binding("h,H", "app.halt", "halt"),
    ]

    def compose(self) -> ComposeResult:
        """Text of the keys."""
        with VerticalScroll(classes="dialog"):
            yield Static(HELP, markup=False)
