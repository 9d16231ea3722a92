"""Opening of a session's account: what its key may do, and paper or an executor between actions and exchange.

Paper     needs nothing of the exchange, and nothing here is made that could send an order.
Others    have an executor (``trading/execution``) whose journal is held until the block ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kalshi_platform.domain.errors import LimitError, PlatformError
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.account_calls import AccountCalls
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.rest import RestTransport
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.opening import ExecutionPorts, open_executor
from kalshi_platform.trading.execution.settings import ExecutionSettings
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.session.asked_session import AskedSession
from kalshi_platform.trading.session.at_exchange.exchange_book import ExchangeBook
from kalshi_platform.trading.session.at_exchange.timed_orders import time_orders
from kalshi_platform.trading.session.controls import HALT_FILE
from kalshi_platform.trading.session.decider import ModelDecider
from kalshi_platform.trading.session.late_session import LateSession
from kalshi_platform.trading.session.modes import PaperMode, SimulatedMode, refuse_scopes
from kalshi_platform.trading.session.paper.paper_book import PaperBook


async def ask_key(transport: RestTransport, mode: str, key_id: str) -> dict[str, str]:
    """Refuse a key that does not fit the mode, and hold the account's own rate limits.

    Returns problems by name, of what the exchange did not tell.
    """
    problems = {
        "the key": refuse_scopes(mode, await _scopes(transport, key_id)),
        "the rate limits": await _learn_limits(transport),
    }
    return {name: words for name, words in problems.items() if words is not None}


async def _scopes(transport: RestTransport, key_id: str) -> tuple[str, ...] | None:
    """Scopes of the key; None where the exchange does not tell."""
    try:
        keys = await AccountCalls(transport).keys()
    except PlatformError:
        return None
    return next((key.scopes for key in keys.keys if key.key_id == key_id), None)


async def _learn_limits(transport: RestTransport) -> str | None:
    """Hold the account's own rate limits, or say that the smallest ones hold: orders would wait for them."""
    try:
        await AccountCalls(transport).learn_limits()
    except PlatformError as err:
        return f"the exchange did not tell them, the basic ones hold and orders may wait: {err}"[:300]
    return None


@asynccontextmanager
async def account_of(
    asked: AskedSession,
    transport: RestTransport,
    key_id: str,
    recorder: Recorder,
    decider: ModelDecider,
    late: LateSession,
) -> AsyncIterator[PaperBook | ExchangeBook]:
    """Account of the mode; one at an exchange holds its journal until the end."""
    trading = decider.served.trading
    if isinstance(asked.mode, PaperMode):
        yield PaperBook(trading, asked.config.seed)
        return
    time_orders(transport, late.order_left)
    executor = await _executor(asked, transport, key_id, recorder)
    upkeep = asyncio.create_task(executor.run(), name="upkeep")
    upkeep.add_done_callback(lambda done: fail_with(late, done))
    book = _book(asked, trading, executor, recorder, decider, late)
    try:
        yield book
    finally:
        await book.close()
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
        await executor.close()


async def _executor(
    asked: AskedSession, transport: RestTransport, key_id: str, recorder: Recorder
) -> Executor:
    """Open the executor; orders that an earlier session left are cancelled by its upkeep."""
    ports = ExecutionPorts(
        OrderCalls(transport), AccountCalls(transport), recorder.clock, lambda: transport.skew.skew_ns
    )
    name = AccountName(key_id, asked.mode.rest_url)
    settings = ExecutionSettings(kill_file=asked.out / HALT_FILE)
    executor = await open_executor(asked.out / "execution", name, asked.limits, ports, settings)
    try:
        if asked.resume:
            executor.resume(asked.resume, accept_losses=asked.accept_losses)
    except LimitError:
        await executor.close()
        raise
    executor.end_leftovers()
    return executor


def _book(
    asked: AskedSession,
    trading: TradingConfig,
    executor: Executor,
    recorder: Recorder,
    decider: ModelDecider,
    late: LateSession,
) -> ExchangeBook:
    """Account of a session whose orders ``executor`` sends."""
    return ExchangeBook(
        trading, executor, recorder.note, late.shard_of, lambda: decider.healthy_ns, late.fail, late.left,
        recorder.known_ns,
        frame_mono_ns=late.frame_mono_ns, expires=not isinstance(asked.mode, SimulatedMode),
    )  # fmt: skip


def fail_with(late: LateSession, task: "asyncio.Task[None]") -> None:
    """End the session where one of its tasks died."""
    if not task.cancelled() and (error := task.exception()) is not None:
        late.fail(error)
