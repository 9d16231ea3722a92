"""Orders that tell when they leave: the last stage of a session's latency.

The time is taken where the signed request is handed to HTTP: limits, journal, tokens, body and signature come
before; what the line and the exchange take is told by each order's ``took_ms``.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar

from kalshi_platform.trading.exchange.rest import RestTransport

#: Monotonic time at which the frame left the socket that led to what this task sends; 0 where none did.
FRAME_MONO_NS: ContextVar[int] = ContextVar("frame_mono_ns", default=0)


def time_orders(transport: RestTransport, tell: Callable[[int], None]) -> None:
    """Let ``transport`` tell how old the frame is that each order answers, ns, as the order leaves."""

    def leaving(method: str) -> None:
        """Take the time of an order; other requests are none."""
        frame_ns = FRAME_MONO_NS.get()
        if frame_ns and method == "POST":
            tell(time.monotonic_ns() - frame_ns)

    transport.leaving = leaving
