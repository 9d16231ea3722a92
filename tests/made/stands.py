"""Stand of a trader beside the simulated exchange's own books: what the two do not agree on."""

from collections.abc import Mapping
from typing import Any

from kalshi_platform.trading.execution.orders.ledger import OrderLedger

_WORDS = {"executed": "filled", "canceled": "cancelled"}


def stand_of(ledger: OrderLedger) -> dict[str, Any]:
    """Cash, positions and orders as execution has them."""
    return {
        "cash_e6": {str(s): c for s, c in ledger.cash_e6.items()},
        "positions_e2": {t: m.held_e2 for t, m in ledger.markets.items() if m.held_e2},
        "orders": {
            c: [o.order_id, o.state.value, o.filled_e2, o.fills_e2, o.fees_e6]
            for c, o in ledger.orders.items()
        },
    }


def differences(stand: Mapping[str, Any], truth: Mapping[str, Any]) -> list[str]:
    """Everything that a trader's stand and the server's truth do not agree on."""
    found = []
    cash = {str(s): c for s, c in enumerate(truth["cash_e6"])}
    if stand["cash_e6"] != cash:
        found.append(f"cash {stand['cash_e6']}, truth {cash}")
    if stand["positions_e2"] != truth["positions_e2"]:
        found.append(f"positions {stand['positions_e2']}, truth {truth['positions_e2']}")
    if truth["resting"]:
        found.append(f"{len(truth['resting'])} orders rest")
    stem = next(iter(stand["orders"]), "kp-none-0-0").rsplit("-", 2)[0]
    theirs = {o["client_order_id"]: o for o in truth["orders"] if o["client_order_id"].startswith(stem)}
    found += [f"forgotten: {each}" for each in theirs.keys() - stand["orders"].keys()]
    for client_id, (order_id, state, filled, fills, fees) in stand["orders"].items():
        truly = theirs.get(client_id)
        if truly is None:
            if state not in ("refused", "absent"):
                found.append(f"{client_id} is {state}; the exchange never had it")
        elif (order_id, state, filled, fills, fees) != (
            truly["order_id"], _WORDS.get(truly["status"]), truly["filled_e2"], truly["filled_e2"],
            truly["fees_e6"],
        ):  # fmt: skip
            found.append(f"{client_id}: {state} {filled} {fills} {fees}, truth {truly}")
    return found
