"""Where tier 3 is asked: by the replica itself where that is quick, else behind a hop to its deployment.

Units  ms; a time is the median of one group, measured where tier 3 would run.
Rule   one rule for the replica that asks and for the report that says what a tier set saves.
"""

from typing import Final

#: A replica asks its own tier 3 where one group takes less: the hop alone takes about as long.
INSIDE_MS: Final = 1.0
#: One hop to the deployment of tier 3 and back.
HOP_MS: Final = 1.0


def is_asked_inside(group_ms: float, inside_ms: float) -> bool:
    """True where the replica asks its own tier 3, which takes ``group_ms``."""
    return group_ms < inside_ms


def hop_ms(group_ms: float, inside_ms: float, overhead_ms: float) -> float:
    """Cost ms of tier 3 beside its own time: nothing inside the replica, else ``overhead_ms``."""
    return 0.0 if is_asked_inside(group_ms, inside_ms) else overhead_ms
