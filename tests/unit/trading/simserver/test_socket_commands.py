"""Random commands while the world trades: no number is lost or doubled, and no book is wrong."""

import numpy as np
import pytest
from made.sim_server import ONE_SHARD, serve_for


class Wanted:
    """Subscriptions as a client keeps them that does what the exchange's documents say."""

    def __init__(self):
        self.seq = {}  # sid -> last number
        self.channel = {}  # sid -> channel
        self.books = {}  # ticker -> (side, price) -> size; None until its snapshot

    def sid_of(self, channel):
        return next((sid for sid, name in self.channel.items() if name == channel), None)

    def take(self, frame):
        sid, msg = frame.get("sid"), frame.get("msg")
        if frame["type"] == "subscribed":
            assert msg["sid"] not in self.seq
            self.seq[msg["sid"]], self.channel[msg["sid"]] = 0, msg["channel"]
        elif "seq" in frame:
            assert frame["seq"] == self.seq[sid] + 1, frame
            self.seq[sid] += 1
        if frame["type"] == "unsubscribed":
            if self.channel[sid] == "orderbook_delta":
                self.books.clear()
            del self.seq[sid], self.channel[sid]
        elif frame["type"] == "ok" and sid and self.channel[sid] == "orderbook_delta":
            held = set(msg["market_tickers"])
            self.books = {t: self.books.get(t) for t in held}
        elif frame["type"] == "orderbook_snapshot":
            sides = (("yes", "yes_dollars_fp"), ("no", "no_dollars_fp"))
            book = {(s, p): e2(q) for s, name in sides for p, q in msg.get(name, [])}
            before = self.books.get(msg["market_ticker"])
            assert before in (None, book)  # a second snapshot of a followed book tells what the deltas told
            self.books[msg["market_ticker"]] = book
        elif frame["type"] == "orderbook_delta":
            book, place = self.books[msg["market_ticker"]], (msg["side"], msg["price_dollars"])
            book[place] = book.get(place, 0) + e2(msg["delta_fp"])
            assert book[place] >= 0
            if not book[place]:
                del book[place]


def e2(text):
    return round(float(text) * 100)


def command(rng, wanted, tickers):
    """(name, params) of a command that fits what is subscribed."""
    chosen = rng.choice(tickers, int(rng.integers(1, 4)), replace=False).tolist()
    book = wanted.sid_of("orderbook_delta")
    if book is None:
        return "subscribe", {"channels": ["orderbook_delta"], "market_tickers": chosen, "use_yes_price": True}
    update = {"sids": [book], "market_tickers": chosen}
    choices = [
        ("update_subscription", update | {"action": "add_markets"}),
        ("update_subscription", update | {"action": "delete_markets"}),
        ("update_subscription", update | {"action": "get_snapshot"}),
        (
            "update_subscription",
            {"sids": [book], "action": "add_markets"},
        ),  # refused, by a number of it
        ("subscribe", {"channels": ["orderbook_delta", "trade"], "market_tickers": chosen}),
        ("subscribe", {"channels": ["ticker", "market_lifecycle_v2"]}),
        ("unsubscribe", {"sids": [int(rng.choice(list(wanted.channel)))]}),
        ("list_subscriptions", {}),
    ]
    return choices[int(rng.choice(len(choices), p=[0.25, 0.2, 0.2, 0.05, 0.1, 0.05, 0.1, 0.05]))]


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_and_books_hold_through_random_commands(seed):
    async def body(scene):
        rng, wanted = np.random.default_rng(seed), Wanted()
        tickers = [m["ticker"] for m in await scene.rest.all("/markets", "markets", status="open")]
        n = 0
        async with scene.socket() as ws:

            def take_new():
                nonlocal n
                for frame in ws.frames[n:]:
                    wanted.take(frame)
                n = len(ws.frames)

            for number in range(1, 151):
                name, params = command(rng, wanted, tickers)
                await ws.send(number, name, **params)
                known = set(params.get("market_tickers", ())) & set(wanted.books)
                if params.get("action") == "get_snapshot" and not known:
                    continue  # nothing is sent for markets that are not subscribed
                await ws.answer(number)
                take_new()
            name, params = "subscribe", {"channels": ["orderbook_delta"], "market_tickers": tickers}
            await ws.send(999, name, **params, use_yes_price=True)
            await ws.answer(999)
            scene.server.clock.speed = 1e-9
            truth = await scene.truth(*tickers)
            await ws.send(1_000, "list_subscriptions")
            await ws.answer(1_000)  # it comes after all frames sent before
            take_new()
        assert set(wanted.books) == set(tickers)
        for ticker, book in wanted.books.items():
            market = truth["markets"][ticker]
            sides = (("yes", market["bids"]), ("no", market["asks"]))
            assert book == {(s, f"{p / 10_000:.4f}"): q for s, levels in sides for p, q in levels}

    serve_for(body, speed=300, n_events=3, world=ONE_SHARD)
