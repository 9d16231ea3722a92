"""The client against the exchange's own SDK: the same calls, sent to one server, must ask the same.

The SDK lives in an environment of its own, never in this one:
    python -m venv sdk && sdk/bin/pip install --ignore-requires-python kalshi-python-sync==3.34.0
    KALSHI_SDK_PYTHON=sdk/bin/python pytest tests/unit/trading/exchange/test_official_sdk.py
"""

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from made.exchange import KEY_ID, run

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.account_calls import AccountCalls
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.new_orders import Amendment, NewOrder
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import SIGNATURE_HEADER, TIME_HEADER, RequestSigner

PYTHON = os.environ.get("KALSHI_SDK_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="KALSHI_SDK_PYTHON names no interpreter with kalshi-python-sync: see the module"
)
KEYS = {
    "RSA": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
TICKER = "KXDEMO-26DEC01-T72999.99"

SDK_CALLS = """
import sys
import kalshi_python_sync as sdk
from kalshi_python_sync.api_client import ApiClient
from kalshi_python_sync.auth import KalshiAuth

url, key_id, pem = sys.argv[1], sys.argv[2], sys.stdin.read()
client = ApiClient(sdk.Configuration(host=url))
client.kalshi_auth = KalshiAuth(key_id, pem)
T = "KXDEMO-26DEC01-T72999.99"
market, orders = sdk.MarketApi(client), sdk.OrdersApi(client)
groups, mine = sdk.OrderGroupsApi(client), sdk.PortfolioApi(client)
order = dict(ticker=T, side="bid", count="20.00", price="0.4370", client_order_id="rl-1", exchange_index=2,
             time_in_force="good_till_canceled", self_trade_prevention_type="taker_at_cross")
change = dict(ticker=T, side="ask", price="0.5001", count="17.50")
group = dict(contracts_limit_fp="250.00", exchange_index=1)
batch = [{"order_id": "o1", "market_ticker": T}]
calls = [
    lambda: market.get_market_orderbook(T, depth=0),
    lambda: market.get_market_orderbooks([T, "KXB-1"]),
    lambda: market.get_trades(ticker=T, min_ts=1795400000, limit=1000),
    lambda: market.get_market(T),
    lambda: mine.get_fills(order_id="o1", limit=1000),
    lambda: orders.get_order("o1"),
    lambda: orders.create_order_v2(**order),
    lambda: orders.amend_order_v2("o1", **change),
    lambda: orders.decrease_order_v2("o1", reduce_to="2.00", market_ticker=T),
    lambda: orders.cancel_order_v2("o1", market_ticker=T, exchange_index=3),
    lambda: orders.batch_cancel_orders_v2(orders=batch),
    lambda: groups.create_order_group(**group),
]
for call in calls:
    try:
        call()
    except Exception as error:  # every answer is {}: nothing can be read from it
        print(type(error).__name__, error, file=sys.stderr)
"""


class Recorder(ThreadingHTTPServer):
    """Server on loopback that keeps requests and answers {}."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/trade-api/v2"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def log_message(self, *words):
        """Say nothing."""


async def our_calls(url, signer):
    """The calls of SDK_CALLS in their order."""
    clock = SystemClock()
    async with RestTransport(
        RestSettings(url=url, attempts=1), signer, clock, np.random.default_rng(1)
    ) as rest:
        public, mine, orders = PublicCalls(rest), AccountCalls(rest), OrderCalls(rest)
        order = NewOrder.parse({
            "ticker": TICKER, "side": "bid", "price_e4": 4_370, "qty_e2": 2_000, "client_order_id": "rl-1",
            "time_in_force": "good_till_canceled", "exchange_index": 2,
        })  # fmt: skip
        change = Amendment.parse({"ticker": TICKER, "side": "ask", "price_e4": 5_001, "qty_e2": 1_750})
        works = (
            public.book(TICKER), public.books([TICKER, "KXB-1"]),
            public.trades(ticker=TICKER, since_ns=1_795_400_000 * NS_PER_SECOND), public.market(TICKER),
            mine.fills(order_id="o1"), mine.order("o1"), orders.create(order), orders.amend("o1", change),
            orders.decrease("o1", TICKER, None, to_e2=200), orders.cancel("o1", TICKER, 3),
            orders.cancel_batch([("o1", TICKER)]), orders.create_group(25_000, 1),
        )  # fmt: skip
        for work in works:
            try:
                await work
            except PlatformError:  # every answer is {}: nothing can be read from it
                continue


def shape(request):
    """Method, path, sorted query and JSON body of a request."""
    method, target, _, body = request
    path, _, query = target.partition("?")
    return method, path, sorted(query.split("&")), json.loads(body) if body else None


def verify(key, request):
    """Verify a request's signature over its path as sent."""
    method, target, headers, _ = request
    fields = {name.upper(): value for name, value in headers.items()}
    text = f"{fields[TIME_HEADER]}{method}{target.partition('?')[0]}".encode()
    signature, public = base64.b64decode(fields[SIGNATURE_HEADER]), key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        public.verify(signature, text)
    else:
        public.verify(signature, text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


@pytest.mark.parametrize("kind", KEYS)
def test_our_requests_and_signatures_are_those_of_the_exchanges_own_sdk(kind):
    key = KEYS[kind]
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with Recorder() as theirs, Recorder() as ours:
        command = [PYTHON, "-c", SDK_CALLS, theirs.url, KEY_ID]
        subprocess.run(command, input=pem, check=True, timeout=60, env={"PATH": os.environ["PATH"]})
        run(our_calls(ours.url, RequestSigner(KEY_ID, pem, "test")))
        assert [shape(each) for each in ours.requests] == [shape(each) for each in theirs.requests]
        assert len(ours.requests) == 12
        for request in ours.requests + theirs.requests:
            verify(key, request)
