"""The desk of a served exchange beside the slow exchange in plain Python: one cash over two events.

The clock of the venue stands still, so the agents' first ladders stand too. They are copied into the slow
exchange as orders of account 1, and every command of the account (0 there) is given to both.
"""

from typing import Any

from kalshi_platform.domain.fees import maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.matching import reasons, tape
from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.rest.answers import ApiError
from kalshi_platform.trading.simserver.venue.desk import OrderDesk, WantedOrder
from kalshi_platform.trading.simserver.venue.groups import OrderGroups
from kalshi_platform.trading.simserver.venue.truth import account_truth
from kalshi_platform.trading.simserver.venue.venue import LiveVenue
from made.plain_core import FOREVER, PlainCore

RICH = 10**15


class Told:
    """A feed that keeps what concerns the account."""

    def __init__(self) -> None:
        self.fills: list[Any] = []

    def fill(self, fill: Any) -> None:
        self.fills.append(fill)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class DeskTwin:
    """Both exchanges after the same commands."""

    def __init__(self, seed: int, cash_usd: int = 200) -> None:
        config = ServerConfig.parse({
            "n_events": 2, "seed": seed, "begun": False, "cash_usd": cash_usd, "start_ns": 10**18,
            "world": {"category_shares": [1.0, 0.0, 0.0, 0.0]},
        })  # fmt: skip
        self.feed = Told()
        self.venue = LiveVenue(config, SimClock(10**18, 1.0), self.feed)
        self.desk = OrderDesk(self.venue, OrderGroups(self.venue))
        self.markets = [m for event in self.venue.open_now for m in event.markets]
        spec = MarketSpec(ticker="M", event="E")
        self.slow = PlainCore(
            [
                {"bands": [(0, 10_000, 100)], "taker": taker_rate_e6(spec), "maker": maker_rate_e6(spec),
                 "shard": 0, "close": FOREVER, "limit": 0}
                for _ in self.markets
            ],
            2, 1, (100, 100), True, False, 200_000,
        )  # fmt: skip
        self.slow.deposit(0, 0, cash_usd * 10**6)
        self.slow.deposit(1, 0, RICH)
        self._copy_ladders()
        self.numbers: dict[str, int] = {}  # order id -> number in the slow exchange
        self.refusals: list[str] = []

    def _copy_ladders(self) -> None:
        at = 0
        for event in self.venue.open_now:
            live = event.live
            rows = live.opening[live.opening["kind"] == tape.ACK]
            for row in rows:
                side = ("bid", "ask")[row["side"]]
                self._send(1, at + int(row["market"]), side, int(row["price_e4"]), int(row["qty_e2"]))
            at += len(event.markets)
        assert all(self._books_agree())

    def _send(
        self, account, market, side, price, qty, tif="good_till_canceled", stp="taker_at_cross", post=False
    ):
        return self.slow.submit(
            account, market, side, price, qty, tif, stp, post, False, False, None, FOREVER, 0
        )

    def create(self, market: int, side: str, price: int, qty: int, tif: str, stp: str, post: bool) -> None:
        theirs = self._send(0, market, side, price, qty, tif, stp, post)
        wanted = WantedOrder(self.markets[market], side, price, qty, tif, stp, post_only=post)
        try:
            order = self.desk.create(wanted)
        except ApiError as refused:
            self._refused(refused, theirs["reason"])
            return
        assert theirs["reason"] == "OK"
        self.numbers[order.order_id] = theirs["order"]

    def change(self, which: int, act: str, price: int, qty: int) -> None:
        """Cancel, amend or decrease one order of those ever made."""
        if not self.numbers:
            return
        order_id = list(self.numbers)[which % len(self.numbers)]
        order, number = self.desk.order(order_id), self.numbers[order_id]
        market = self.markets.index(order.market)
        try:
            if act == "cancel":
                theirs = self.slow.cancel(0, number)
                self.desk.cancel(order)
            elif act == "amend":
                count = order.filled_e2 + qty
                theirs = self.slow.amend(0, number, market, order.side, price, count, None, 0)
                self.desk.amend(order, order.side, price, count, expiry_s=None, client="")
            else:
                theirs = self.slow.decrease(0, number, True, qty)
                self.desk.decrease(order, by_e2=qty, to_e2=None)
        except ApiError as refused:
            self._refused(refused, theirs["reason"])
            return
        assert theirs["reason"] == "OK"

    def _refused(self, refused: ApiError, reason: str) -> None:
        code = next(
            words for number, words in reasons.API_CODES.items() if reasons.NAMES[int(number)] == reason
        )
        assert (refused.code, refused.details) == (code[0], code[1] or reason)
        self.refusals.append(reason)

    def _books_agree(self):
        for at, market in enumerate(self.markets):
            live = market.event.live
            for side in ("bid", "ask"):
                yield live.exchange.levels(market.number, side).tolist() == self.slow.depth(at, side)

    def check(self) -> None:
        """Compare cash, reserves, positions, books and fills; and the account's records with the cores."""
        assert all(self._books_agree())
        truth = account_truth(self.venue)
        assert truth["cash_e6"][0] == self.slow.cash[0][0]
        assert truth["reserved_e6"][0] == self.slow.reserved(0, 0) * 10**6
        position = {m.ticker: self.slow.position[0][at] for at, m in enumerate(self.markets)}
        assert truth["positions_e2"] == {t: p for t, p in position.items() if p}
        kept = {t: p.position_e2 for t, p in self.venue.account.primary.positions.items()}
        assert {t: p for t, p in kept.items() if p} == truth["positions_e2"]
        self._check_fills()
        self._check_orders(truth)
        self._check_conserved()

    def _check_fills(self) -> None:
        theirs = [
            row
            for row in self.slow.tape
            if row["kind"] == "FILL" and 0 in (row["account"], row["maker_account"])
        ]
        mine = [(f.price_e4, f.qty_e2, f.fee_e6) for f in self.feed.fills]
        fee = lambda row: row["fee"] if row["account"] == 0 else row["maker_fee"]  # noqa: E731
        assert mine == [(row["price"], row["qty"], fee(row)) for row in theirs]

    def _check_orders(self, truth: dict[str, Any]) -> None:
        resting = {row["tag"]: row for row in truth["resting"]}
        for order in self.venue.account.orders.values():
            if order.status == "resting":
                row = resting.pop(order.tag)
                assert (order.left_e2, order.filled_e2, order.price_e4) == (
                    row["left_e2"], row["filled_e2"], row["price_e4"],
                )  # fmt: skip
            else:
                assert order.left_e2 == 0
        assert not resting
        assert truth["open_fees_e6"] == sum(row["fees_e6"] for row in truth["orders"])

    def _check_conserved(self) -> None:
        """In every event cash + a dollar for each open contract + fees taken = cash paid in."""
        for event in self.venue.open_now:
            core = event.live.exchange.core
            pledged = 10_000 * int(core.markets["open_interest_e2"].sum())
            cash = int(core.wallets["cash_e6"].sum())
            assert cash + pledged + int(core.shards["fees_e6"][0]) == int(core.shards["paid_in_e6"][0])
            assert (core.holdings["position_e2"].sum(axis=0) == 0).all()
