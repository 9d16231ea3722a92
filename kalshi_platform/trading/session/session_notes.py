"""Notes of a session in its own recording: with the frames beside them they say all that the session did.

They are notes of the recorder's kind (``trading/recorder/segments/lines.py``): importers pass over them, and
``session_replay.py`` plays them again.

SESSION_BEGAN   detail: trading (TradingConfig), window, mode, model, seed, accepts_missing, simulated,
                opening: cash and positions held by then (``opening_positions.py``); null on paper
SESSION_TOLD    detail: answer; an answer of REST as a line of facts (``recorder/facts_file.py``)
SESSION_ACTS    detail: now_ns, model, acts {group: actions, one digit a slot}, as they were sent;
                5 and 6 are the codes CANCEL and LEAVE of restraint.py
SESSION_CANCELS detail: now_ns, acts; cancels of paper orders beside any decision (``paper_switch.py``)
SESSION_CONTROL detail: control, why, state, orders; a person, a file, a signal or a limit acted on trading,
                or (control CONTROL_END) the session ends: it decides no more and cancels its orders. The
                first note may say what the account begins with
SESSION_PAID    detail: ticker, value_e4, at_ns; the outcome was paid and the slot let go
SESSION_ORDER   detail: of an order at an exchange: client id, ticker, action, price_e4, qty_e2, state,
                sent_ns and answered_ns of the request by this clock, replaces: a cancel was answered before
SESSION_LEFT    detail: client_id, left_e2: what is left of an order that filled or ended
SESSION_FILL    detail: of a fill at an exchange: client id, ticker, side, price_e4, qty_e2, fee_e6, at_ns
SESSION_ENDED   detail: why, cash_e6, equity_e6, fees_e6, fills, forbidden: the account as the session had it
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from kalshi_platform.domain.errors import DataError

SESSION_BEGAN: Final = "session_began"
SESSION_TOLD: Final = "session_told"
SESSION_ACTS: Final = "session_acts"
SESSION_CANCELS: Final = "session_cancels"
SESSION_CONTROL: Final = "session_control"
#: Control of the note that a session begins to end.
CONTROL_END: Final = "end"
SESSION_PAID: Final = "session_paid"
SESSION_ORDER: Final = "session_order"
SESSION_LEFT: Final = "session_left"
SESSION_FILL: Final = "session_fill"
SESSION_ENDED: Final = "session_ended"


def acts_text(actions: np.ndarray) -> str:
    """Actions (S,) i1 of one group as digits."""
    return "".join(map(str, actions.tolist()))


def acts_of(detail: Mapping[str, Any], n_slots: int) -> dict[int, np.ndarray]:
    """Actions (S,) i1 by group; DataError where the note is damaged."""
    found = {}
    for group, text in detail["acts"].items():
        if len(text) != n_slots or not text.isdigit():
            raise DataError(
                f"a note {SESSION_ACTS} names {text!r} for group {group}: expected {n_slots} digits"
            )
        found[int(group)] = np.array([int(digit) for digit in text], np.int8)
    return found
