"""Order messages a second on one core: the matching core beside nanobook, a matching engine in Rust.

matching         one call for all messages: ours against nanobook replaying its own events inside Rust. Ours
                 keeps cash, collateral, positions and fees of every account and writes the tape besides;
                 nanobook's rule is price-time priority alone
matching_single  one Python call a message in both
Messages         half new limit orders, a third cancels, the rest orders that cross (limit, IOC, FOK). Fills
                 (maker, price, size) and the books afterwards are equal, or it fails.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import nanobook
import numpy as np
import replay_input

from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.matching import command, tape
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.records import Sizes

N_MESSAGES = 100_000
N_SINGLE = 10_000
PEER = "nanobook 0.19.2"
TIFS = {"gtc": "good_till_canceled", "ioc": "immediate_or_cancel", "fok": "fill_or_kill"}


class Message(NamedTuple):
    """A new order, or the cancel of the order that was the ``cancels``-th to be sent."""

    side: str
    cents: int = 0
    contracts: int = 0
    tif: str = ""
    cancels: int = -1


def messages(n: int) -> list[Message]:
    """A book of some hundred orders around 50 cents, where trades stay within 48 to 52.

    Only orders farther out are cancelled: nanobook 0.19.2 keeps a cancelled order where the front of its
    queue was filled before, and may then loop for ever (test_independent_matcher.py).
    """
    rng = random.Random(7)
    out: list[Message] = []
    far: list[tuple[int, str]] = []
    n_orders = 0
    for _ in range(n):
        roll, side = rng.random(), rng.choice(("buy", "sell"))
        if len(far) > 600 or (roll < 0.36 and far):
            k = rng.randrange(len(far))
            far[k], far[-1] = far[-1], far[k]
            number, side = far.pop()
            out.append(Message(side, cancels=number))
            continue
        away, tif = rng.randint(3, 12), "gtc"
        if roll < 0.48:
            away, tif = rng.randint(-2, -1), rng.choice(tuple(TIFS))
        elif roll < 0.60:
            away = rng.randint(1, 2)
        else:
            far.append((n_orders, side))
        out.append(Message(side, 50 - away if side == "buy" else 50 + away, rng.randint(1, 50), tif))
        n_orders += 1
    return out


def new_exchange() -> SimulatedExchange:
    """One market in whole cents; account 0 buys, account 1 sells, both rich."""
    exchange = SimulatedExchange([MarketSpec(ticker="M", event="E")], Sizes(orders=4_096))
    for account in range(2):
        exchange.deposit(account, 10**17)
    exchange.read_tape()
    return exchange


def send_to_ours(exchange: SimulatedExchange, sent: list[Message]) -> list[int]:
    """Send every message in a call of its own; returns the number of each order (-1 = refused)."""
    numbers: list[int] = []
    for message in sent:
        account = 0 if message.side == "buy" else 1
        if message.cancels >= 0:
            exchange.cancel(account, numbers[message.cancels])
            continue
        answer = exchange.submit(
            account, 0, "ask" if account else "bid", 100 * message.cents, 100 * message.contracts,
            time_in_force=TIFS[message.tif],
        )  # fmt: skip
        if answer.reason == "TAPE_FULL":
            raise AssertionError("the tape is too short for the benchmark")
        numbers.append(answer.order_id)
        read_all(exchange)
    return numbers


def read_all(exchange: SimulatedExchange) -> None:
    """Pass over the tape, as a reader of the columns themselves does."""
    exchange.core.state["read"] = exchange.core.state["written"]


def send_to_peer(peer: nanobook.Exchange, sent: list[Message]) -> list[int]:
    """Send every message in a call of its own; returns the number of each order."""
    numbers: list[int] = []
    for message in sent:
        if message.cancels >= 0:
            peer.cancel(numbers[message.cancels])
        else:
            told = peer.submit_limit(message.side, message.cents, message.contracts, message.tif)
            numbers.append(told.order_id)
    return numbers


def as_commands(sent: list[Message], numbers: list[int]) -> np.ndarray:
    """Command records of ``sent``; ``numbers`` are those that the orders had when sent one by one."""
    commands = command.new_commands(len(sent))
    for name, values in {
        "account": [0 if m.side == "buy" else 1 for m in sent],
        "op": [command.SUBMIT if m.cancels < 0 else command.CANCEL for m in sent],
        "market": [0 if m.cancels < 0 else -1 for m in sent],
        "order_id": [-1 if m.cancels < 0 else numbers[m.cancels] for m in sent],
        "price_e4": [100 * m.cents for m in sent],
        "qty_e2": [100 * m.contracts for m in sent],
        "tif": [list(TIFS).index(m.tif) if m.tif else 0 for m in sent],
    }.items():
        commands[name] = values
    commands["side"] = commands["account"]
    return commands


def run_commands(exchange: SimulatedExchange, commands: np.ndarray, answers: np.ndarray) -> list[np.ndarray]:
    """Send all at once, reading the tape when it is full; returns its fills."""
    done, fills = 0, []
    while done < commands.size:
        done += exchange.run(commands[done:], answers[done:])
        rows = exchange.read_tape()
        fills.append(rows[rows["kind"] == tape.FILL])
    return fills


def check(sent: list[Message], commands: np.ndarray, numbers: list[int]) -> list[object]:
    """Compare fills and books; returns the peer's events. AssertionError where they differ."""
    exchange, peer = new_exchange(), nanobook.Exchange()
    fills = np.concatenate(run_commands(exchange, commands, command.new_answers(len(sent))))
    their = send_to_peer(peer, sent)
    mine = {number: k for k, number in enumerate(numbers) if number >= 0}
    theirs = {number: k for k, number in enumerate(their)}
    told = [(theirs[t.passive_order_id], 100 * t.price, 100 * t.quantity) for t in peer.trades()]
    ours = zip(fills["maker_id"].tolist(), fills["price_e4"].tolist(), fills["qty_e2"].tolist(), strict=True)
    assert [(mine[maker], price, qty) for maker, price, qty in ours] == told, "fills differ"
    book = peer.full_book()
    for side, levels in (("bid", book.bids), ("ask", book.asks)):
        told_levels = [[100 * level.price, 100 * level.quantity] for level in levels]
        assert exchange.levels(0, side).tolist() == told_levels, f"books differ: {side}"
    assert len(told) > len(sent) // 20
    return peer.events()


def main() -> Iterator[dict[str, object]]:
    """Yield two result lines; AssertionError where the answers differ."""
    sent = messages(N_MESSAGES)
    numbers = send_to_ours(new_exchange(), sent)
    commands, answers = as_commands(sent, numbers), command.new_answers(len(sent))
    events, some = check(sent, commands, numbers), sent[:N_SINGLE]

    def ours() -> Callable[[], object]:
        exchange = new_exchange()
        return lambda: run_commands(exchange, commands, answers)

    def ours_singly() -> Callable[[], object]:
        exchange = new_exchange()
        return lambda: send_to_ours(exchange, some)

    batch = replay_input.best_rates(
        len(sent), ours, lambda: lambda: nanobook.Exchange.replay(events), repeats=3
    )
    single = replay_input.best_rates(
        len(some), ours_singly, lambda: lambda: send_to_peer(nanobook.Exchange(), some), repeats=3
    )
    for bench, rates, n, peer in (
        ("matching", batch, len(sent), f"{PEER} Exchange.replay"),
        ("matching_single", single, len(some), f"{PEER} submit_limit, cancel"),
    ):
        yield {
            "bench": bench,
            "value": round(rates[0]),
            "unit": "messages/s",
            "peer": peer,
            "peer_value": round(rates[1]),
            "ratio": round(rates[0] / rates[1], 3),
            "messages": n,
            "clock": "cpu",
        }


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line))
