"""Controls of a running session: the one way by which signal, file, page and terminal act on it.

At once    each call takes effect before it returns; requests to an exchange go out beside it. All calls are
           on the event loop's thread.
Answer     of a control is a sentence for whoever asked: a cancel of nothing says so.
Told       every control, every change of state that nobody asked for (a loss limit, the HALT file), and what
           an account begins with (a halt, the journal that it goes on from, one that is gone) is a note
           SESSION_CONTROL of the recording and a line of the log.
Switch     what a control does to an account is the account's own: paper_switch.py, exchange_switch.py.
"""

import asyncio
import os
from pathlib import Path
from typing import Final, Protocol

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.core import Note
from kalshi_platform.trading.session.watching.event_log import EventLog

#: File in the session's folder that halts trading while it is there.
HALT_FILE: Final = "HALT"
_LOOK_S: Final = 0.5
_MOST_WHY: Final = 300


def plain_words(text: str) -> str:
    """Reason in one line that every disk and terminal takes: no line ends, no halves of characters."""
    return " ".join(text.encode("utf-8", "replace").decode().split())[:_MOST_WHY]


class AccountSwitch(Protocol):
    """State of one kind of account, and what each control does to it."""

    @property
    def state(self) -> RiskMode:
        """State of trading now."""

    @property
    def why(self) -> str:
        """Reason of the state."""

    def halt(self, why: str) -> None:
        """Let nothing out any more, and cancel everything that works."""

    def reduce(self, why: str) -> None:
        """Let out only what makes positions smaller; LimitError says what stands against it."""

    def resume(self, why: str) -> None:
        """Trade again; LimitError says what stands against it."""

    def cancel(self, orders: list[str]) -> None:
        """Cancel orders by the names that ``working`` gives."""

    def working(self) -> dict[str, str]:
        """Market of each order that works, by the order's name."""

    def look(self) -> None:
        """See to what is due about twice a second."""


class SessionControls:
    """Halt, reduce, resume, cancel: of one session."""

    def __init__(self, switch: AccountSwitch, note: Note, log: EventLog, halt_file: Path) -> None:
        """Begin in the state of the account; halted where ``halt_file`` is there."""
        self._switch, self._note, self._log, self._halt_file = switch, note, log, halt_file
        self._said = switch.state
        if self._said is not RiskMode.ACTIVE or self.why != STARTED:
            self._tell("begins", self.why)
        self.look()

    @property
    def state(self) -> str:
        """State of trading: active, reducing or halted."""
        return self._switch.state.value

    @property
    def why(self) -> str:
        """Reason of the state."""
        return self._switch.why

    def working(self) -> dict[str, str]:
        """Market of each order that works, by the order's name."""
        return self._switch.working()

    def halt(self, why: str) -> str:
        """Stop trading: nothing goes out any more, everything that works is cancelled."""
        why = plain_words(why)
        self._switch.halt(why)
        self._tell("halt", why)
        return self._stands()

    def reduce(self, why: str) -> str:
        """Let out only what makes positions smaller; LimitError where a halt may not end yet."""
        why = plain_words(why)
        self._require_no_file()
        self._switch.reduce(why)
        self._tell("reduce", why)
        return self._stands()

    def resume(self, why: str) -> str:
        """Trade again; LimitError says what stands against it."""
        why = plain_words(why)
        self._require_no_file()
        self._switch.resume(why)
        self._tell("resume", why)
        return self._stands()

    def cancel_order(self, name: str, why: str = "a person") -> str:
        """Cancel one order by its own name or its market's; LimitError where none works there.

        The model may send another one at its next decision.
        """
        working = self.working()
        orders = [order for order, ticker in working.items() if name in (order, ticker)]
        if not orders:
            raise LimitError(
                f"no order {plain_words(name)[:80]!r} works any more: it was filled or cancelled before; "
                f"orders that work: {len(working)}"
            )
        self._switch.cancel(orders)
        self._tell("cancel", why, orders)
        return f"the order in {working[orders[0]]} is being cancelled"

    def cancel_all(self, why: str) -> str:
        """Cancel every order that works; trading goes on: to stop it, halt."""
        orders = list(self.working())
        self._switch.cancel(orders)
        self._tell("cancel all", why, orders)
        return f"orders being cancelled: {len(orders)}" if orders else "no order works: nothing to cancel"

    def look(self) -> None:
        """Halt where the HALT file is there, and tell of a state that came by itself."""
        if self._switch.state is not RiskMode.HALTED and self._is_file_there():
            self._switch.halt(f"the file {self._halt_file} is there")
        self._switch.look()
        if self._switch.state is not self._said:
            self._tell("state", self.why)

    def tell_end(self, why: str) -> None:
        """Note that the session ends: it decides no more, and cancels its orders at an exchange."""
        detail: dict[str, object] = {"control": notes.CONTROL_END, "why": why[:300], "state": self.state}
        self._note(notes.SESSION_CONTROL, detail)

    async def run(self) -> None:
        """Look about twice a second until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def _require_no_file(self) -> None:
        """LimitError where the HALT file stands against leaving a halt."""
        self.look()  # a file that is there since less than _LOOK_S halts now
        if self._is_file_there():
            raise LimitError(
                f"trading stays {self.state.upper()}: {self._halt_file} is there; delete it first"
            )

    def _is_file_there(self) -> bool:
        """True where the HALT file is there, also as a link that leads nowhere."""
        return os.path.lexists(self._halt_file)

    def _stands(self) -> str:
        """Words of the state that a control left."""
        return f"trading is {self.state}"

    def _tell(self, control: str, why: str, orders: list[str] | None = None) -> None:
        """Note a control in the recording and in the log."""
        why = plain_words(why)
        self._said = self._switch.state
        detail: dict[str, object] = {"control": control, "why": why, "state": self.state}
        if orders is not None:
            detail["orders"] = orders
        self._note(notes.SESSION_CONTROL, detail)
        count = "" if orders is None else f", orders: {len(orders)}"
        level = "warning" if self._said is RiskMode.HALTED else "info"
        text = f"{why}{count}; trading is {self.state}"
        self._log.say(control, text, level=level, state=self.state, orders=orders or [])
