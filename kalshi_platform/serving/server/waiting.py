"""Time that a request would wait for the event loop of this process, measured with and without requests.

A request's own time begins when its handler runs. A process that is stopped, starved or busy lets requests
wait before that, where no handler can measure: this looks at the loop on a fixed schedule, as if requests
came then.

Units      seconds, on the loop's clock, which is monotonic.
Invariant  the schedule never waits for the loop: looks that a stall made late are all counted, each with its
           own wait, so that a long stall weighs as much as the requests that would have come in it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

#: Time between two looks.
EVERY_S: Final = 0.1
#: Looks counted of one stall, its newest: a minute's. A laptop may sleep for days.
_MOST: Final = 600


def waits_s(due_s: float, now_s: float, every_s: float = EVERY_S) -> list[float]:
    """Waits of the looks that were due from ``due_s`` until ``now_s``, the newest last; at most 600."""
    n = int((now_s - due_s) / every_s) + 1
    waits = [now_s - due_s - k * every_s for k in range(max(0, n - _MOST), n)]
    return [max(0.0, wait) for wait in waits]


async def watch_waits(tell: Callable[[float], None], every_s: float = EVERY_S) -> None:
    """Tell the wait of each look at the running event loop, until cancelled."""
    loop = asyncio.get_running_loop()
    due_s = loop.time() + every_s
    while True:
        await asyncio.sleep(due_s - loop.time())
        now_s = loop.time()
        waits = waits_s(due_s, now_s, every_s) if now_s > due_s else [0.0]
        for wait in waits:
            tell(wait)
        # The next on the schedule, also after a stall.
        due_s += every_s * max(len(waits), int((now_s - due_s) / every_s) + 1)
