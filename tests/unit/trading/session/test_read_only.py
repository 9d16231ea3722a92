"""A paper session's transport sends no write."""

import asyncio

import httpx
import numpy as np
import pytest
from made.exchange import HandlerPool

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.rest import RestSettings
from kalshi_platform.trading.session.read_only import ReadOnlyTransport


def test_every_write_is_refused_before_it_leaves():
    asked: list[httpx.Request] = []
    http = HandlerPool(lambda request: asked.append(request) or httpx.Response(200))
    transport = ReadOnlyTransport(RestSettings(), None, SystemClock(), np.random.default_rng(0), http)
    calls = OrderCalls(transport)

    async def write_all() -> None:
        for work in (calls.cancel_all(), calls.cancel("o", "T", 0), calls.create_group(100, 0)):
            with pytest.raises(ContractError, match="paper session sends nothing"):
                await work

    asyncio.run(write_all())
    assert asked == []
