"""Order groups: a limit on contracts matched within 15 s that cancels the group when it is exceeded.

Triggered   its resting orders are cancelled and new ones refused until a reset, which also forgets the
            matches counted so far. A limit set below the matches of the window triggers at once.
Counted     fills of takers and makers. A match is in the window for less than 15 s.
Ring        the last K matches of a group, those of one instant as one. Where more fall into 15 s, the newest
            ones count as one that is as young as the youngest: the group triggers rather too early.
Unconfirmed an order whose own size exceeds the limit is taken; what it fills beyond the limit stands.
"""

from typing import Any, Final

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import orders, reasons, tape
from kalshi_platform.simulation.matching.command import NO_FLAGS
from kalshi_platform.simulation.matching.records import NONE

WINDOW_NS: Final = 15_000_000_000
#: Contracts, 1e-2: one to a million, whole.
LEAST_LIMIT_E2: Final = 100
GREATEST_LIMIT_E2: Final = 100_000_000


@inner_kernel
def find_group(core: Any, group_id: int, account: int) -> int:
    """Slot of an account's group; NONE where it has none of that number."""
    if group_id < 0 or core.groups.size == 0:
        return NONE
    slot = group_id % core.groups.size
    group = core.groups[slot]
    return slot if group.group_id == group_id and group.account == account else NONE


@inner_kernel
def is_limit(limit_e2: int) -> bool:
    """True for a limit that the exchange takes."""
    return LEAST_LIMIT_E2 <= limit_e2 <= GREATEST_LIMIT_E2 and limit_e2 % 100 == 0


@inner_kernel
def tell_group(core: Any, slot: int, what: int) -> None:
    """Write a row about a group: number in ``order_id``, limit in ``qty``, matches in ``left``."""
    group = core.groups[slot]
    row = core.tape[tape.new_row(core, tape.GROUP, NONE, group.account)]
    row.order_id = group.group_id
    row.qty_e2 = group.limit_e2
    row.left_e2 = group.rolling_e2
    row.reason = what
    row.group = slot


@inner_kernel
def create_group(core: Any, account: int, shard: int, limit_e2: int) -> int:
    """Slot of a new group; NONE where the core has room for no other."""
    for slot in range(core.groups.size):
        group = core.groups[slot]
        if group.group_id == NONE:
            group.group_id = orders.next_serial(core) * core.groups.size + slot
            group.account = account
            group.shard = shard
            group.limit_e2 = limit_e2
            group.triggered = 0
            group.n_orders = 0
            forget_matches(core, slot)
            tell_group(core, slot, tape.GROUP_CREATED)
            return slot
    return NONE


@inner_kernel
def forget_matches(core: Any, slot: int) -> None:
    """Empty the window of a group."""
    group = core.groups[slot]
    group.rolling_e2 = 0
    group.first = 0
    group.n = 0


@inner_kernel
def drop_old_matches(core: Any, slot: int) -> None:
    """Forget the matches that are 15 s old."""
    group = core.groups[slot]
    while group.n > 0 and core.matches[slot, group.first].time_ns <= core.state[0].now_ns - WINDOW_NS:
        group.rolling_e2 -= core.matches[slot, group.first].qty_e2
        group.first = (group.first + 1) % core.matches.shape[1]
        group.n -= 1


@inner_kernel
def trigger(core: Any, slot: int) -> None:
    """Cancel a group's resting orders and close it to new ones."""
    group = core.groups[slot]
    group.triggered = 1
    tell_group(core, slot, tape.GROUP_TRIGGERED)
    if group.n_orders > 0:
        orders.cancel_where(core, NONE, slot, NONE, NO_FLAGS, reasons.EXCEEDED_ORDER_GROUP_RISK_LIMIT)


@inner_kernel
def count_match(core: Any, slot: int, qty_e2: int) -> bool:
    """Count a fill of a group's order; returns True where the group is triggered by it."""
    group = core.groups[slot]
    room = core.matches.shape[1]
    drop_old_matches(core, slot)
    newest = (group.first + group.n - 1) % room
    if group.n > 0 and (group.n == room or core.matches[slot, newest].time_ns == core.state[0].now_ns):
        core.matches[slot, newest].qty_e2 += qty_e2
    else:
        newest = (group.first + group.n) % room
        core.matches[slot, newest].qty_e2 = qty_e2
        group.n += 1
    core.matches[slot, newest].time_ns = core.state[0].now_ns
    group.rolling_e2 += qty_e2
    if group.rolling_e2 > group.limit_e2 and group.triggered == 0:
        trigger(core, slot)
    return group.triggered == 1
