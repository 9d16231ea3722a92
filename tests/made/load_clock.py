"""An event loop in which waiting takes no time: what a load test does is then exact and instant."""

import asyncio
import selectors


class _Jumping(selectors.SelectSelector):
    """Waiting takes no time: the clock jumps to the next timer."""

    now_s = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "nothing will ever happen"
        self.now_s += max(timeout, 0.0)
        return []


def in_virtual_time(main):
    """Run ``main(clock)`` in a loop whose clock jumps; ``clock`` answers ns."""
    selector = _Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s
    try:
        return loop.run_until_complete(main(lambda: round(selector.now_s * 1e9)))
    finally:
        loop.close()


async def pace_in_loop(due_ns, launch):
    """The pacer of virtual time."""
    loop = asyncio.get_running_loop()
    for k, at_ns in enumerate(due_ns):
        await asyncio.sleep(at_ns / 1e9 - loop.time())
        launch(k)
