"""Controls of an account at an exchange: all of them are the executor's (``trading/execution``)."""

import asyncio
from collections.abc import Callable

from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.risk.modes import RiskMode


class ExchangeSwitch:
    """AccountSwitch of a session with orders."""

    def __init__(
        self, executor: Executor, fail: Callable[[BaseException], None], end_old: Callable[[], None]
    ) -> None:
        """``fail`` takes an error of a cancel that nobody waits for; ``end_old`` cancels old orders."""
        self._executor, self._fail, self._end_old = executor, fail, end_old
        self._tasks: set[asyncio.Task[Order]] = set()

    @property
    def state(self) -> RiskMode:
        """State of trading now."""
        return self._executor.mode

    @property
    def why(self) -> str:
        """Reason of the state."""
        return self._executor.mode_why

    def halt(self, why: str) -> None:
        """Let nothing out any more; the executor cancels everything now, until nothing rests."""
        self._executor.request_halt(why)

    def reduce(self, why: str) -> None:
        """Let out only what makes positions smaller; LimitError where a halt may not end yet.

        Orders that work and would make one larger are cancelled.
        """
        self._executor.reduce(why)
        self._cancel_growing()

    def resume(self, why: str) -> None:
        """Trade again; LimitError says what stands against it."""
        self._executor.resume(why)

    def working(self) -> dict[str, str]:
        """Market of each order that is not ended, by its client id."""
        return {name: order.intent.ticker for name, order in self._live().items()}

    def cancel(self, orders: list[str]) -> None:
        """Send one cancel for each order, by client id."""
        for name in orders:
            task = asyncio.get_running_loop().create_task(self._executor.cancel(name))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def look(self) -> None:
        """Cancel orders of old age, and those that grow a position while only exits may go out.

        The policy's next decision does the same, but a market without news may wait for it for long.
        """
        self._end_old()
        if self.state is RiskMode.REDUCING:
            self._cancel_growing()

    def _cancel_growing(self) -> None:
        """Cancel every order that can make a position larger and is not being cancelled yet."""
        live = self._live().items()
        self.cancel([n for n, order in live if not order.cancel_wanted and self._grows(order)])

    def _live(self) -> dict[str, Order]:
        """Orders that are not ended, by client id."""
        return {name: order for name, order in self._executor.ledger.live.items() if not order.is_ended}

    def _grows(self, order: Order) -> bool:
        """True where it, with all others of its side, can make the position larger or turn it round."""
        ledger, ticker, side = self._executor.ledger, order.intent.ticker, order.intent.side
        may_fill_e2 = sum(o.exposed_e2 for o in ledger.live_in(ticker) if o.intent.side is side)
        held_e2 = ledger.position_e2(ticker)
        return may_fill_e2 > max(-held_e2 if side is BookSide.BID else held_e2, 0)

    def _done(self, task: "asyncio.Task[Order]") -> None:
        """Hand an error on."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
