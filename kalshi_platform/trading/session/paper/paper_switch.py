"""Controls of paper accounts: cancels that the matcher takes like a policy's own, and a replay does again.

Halted     from the next decision on nothing new is placed (``restraint.py``); what works is cancelled at
           once, and what is in flight, once it works. A cancel takes the model's latency, as in training.
Noted      cancels are a note SESSION_CANCELS with the acts of each group (``session_replay.py``).
"""

from collections.abc import Mapping

import numpy as np

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.simulation.replay.execution import CANCEL
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.core import Note, SessionCore
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.restraint import SELLS, cancels, restrained, working_actions


class PaperSwitch:
    """AccountSwitch of a paper session."""

    def __init__(self, core: SessionCore, book: PaperBook, note: Note) -> None:
        self._core, self._book, self._note = core, book, note
        self.why = STARTED

    @property
    def state(self) -> RiskMode:
        """State of trading now."""
        return self._book.state

    def halt(self, why: str) -> None:
        """Let nothing out any more, and cancel everything that works."""
        if self._book.state is not RiskMode.HALTED:
            self._book.state, self.why = RiskMode.HALTED, why
        self.look()

    def reduce(self, why: str) -> None:
        """Let out only what makes positions smaller, and cancel what would make one larger."""
        self._book.state, self.why = RiskMode.REDUCING, why
        self.look()

    def resume(self, why: str) -> None:
        """Trade again: on paper nothing stands against it."""
        self._book.state, self.why = RiskMode.ACTIVE, why

    def working(self) -> dict[str, str]:
        """Market of each order that works, by the order's name in the ledger."""
        found = {}
        for group, tickers in enumerate(self._core.books.tickers):
            for slot, ticker in enumerate(tickers):
                if name := self._book.order_name(group, slot):
                    found[name] = ticker
        return found

    def cancel(self, orders: list[str]) -> None:
        """Cancel orders by their names."""
        by_group: dict[int, list[int]] = {}
        for group, slot, _ in (name.split("/") for name in orders):
            by_group.setdefault(int(group), []).append(int(slot))
        n_slots = self._core.trading.n_slots
        self._act({group: cancels(n_slots, slots) for group, slots in by_group.items()})

    def look(self) -> None:
        """Cancel what the state does not allow to work: groups without news decide nothing."""
        if self.state is RiskMode.ACTIVE:
            return
        n_slots, acts = self._core.trading.n_slots, {}
        for group, account in enumerate(self._book.accounts):
            due = np.flatnonzero(self._is_due(account.slots))
            if due.size:
                acts[group] = cancels(n_slots, due.tolist())
        self._act(acts)

    def _is_due(self, slots: np.ndarray) -> np.ndarray:
        """Slots (S,) with an order that must go, or with something in flight that has arrived by now.

        The account is not brought to now to find out: a step that no note tells of could not be repeated.
        """
        sent, nothing = slots["sent_action"][0], np.full(slots.shape[1], HOLD, np.int8)
        works = restrained(self.state, nothing, working_actions(slots)) == CANCEL
        allowed = np.isin(sent, (HOLD, *SELLS)) if self.state is RiskMode.REDUCING else sent == HOLD
        arrived = ~allowed & (slots["arrival_ns"][0] < self._core.now_ns)
        return (works & (sent == HOLD)) | arrived

    def _act(self, acts: dict[int, np.ndarray]) -> None:
        """Send cancels now, and note them."""
        if acts:
            sent = send_cancels(self._core, acts)
            self._note(notes.SESSION_CANCELS, {"now_ns": self._core.now_ns, "acts": sent})


def send_cancels(core: SessionCore, acts: Mapping[int, np.ndarray]) -> dict[str, str]:
    """Bring groups to now and act there beside every decision; returns what was sent, as notes have it."""
    sent = {}
    for group, asked in acts.items():
        core.account.show(core.books, group, core.now_ns)
        sent[str(group)] = notes.acts_text(core.account.act(core.books, group, core.now_ns, asked))
    return sent
