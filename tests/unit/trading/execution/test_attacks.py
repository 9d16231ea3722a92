"""Frames and answers that lie, in any order, for a while: no traceback, no order while an outcome is unknown,
none doubled or forgotten; once the exchange tells the truth again, cash and positions are its own.
"""

import copy
import os
import random
from collections import Counter
from typing import Any

import pytest
from made.execution import A, B
from made.plain_account import S
from made.plain_rest import ODD, PlainRest, spoiled

from kalshi_platform.trading.exchange.account_calls import AccountCalls

SEEDS = range(int(os.environ.get("ATTACK_FIRST", "0")), int(os.environ.get("ATTACK_SEEDS", "8")))
_CREATES = ("accepted", "accepted", "filled", "fill_first", "lost", "lost_accepted", "refused", "duplicate")
_CANCELS = ("accepted", "lost", "lost_accepted", "refused", "not_found")


class Attack:
    """A trader at work while the exchange lies."""

    def __init__(self, bench: Any, seed: str) -> None:
        self.bench, self.draw = bench, random.Random(seed)
        create = bench.account.create

        async def watched(order: Any, hindrance: Any) -> Any:
            assert bench.executor.ledger.undecided() == []
            return await create(order, hindrance)

        bench.account.create = watched

    def act(self) -> None:
        """Do one random thing, and deliver what the exchange says of it by ``tell``."""
        bench, draw = self.bench, self.draw
        kind, live = draw.random(), list(bench.executor.ledger.live)
        if kind < 0.5:
            bench.account.next_create.append(draw.choice(_CREATES))
            price_e4, qty_e2 = draw.randint(3_000, 5_000), draw.randint(1, 1_000)
            bench.submit(price_e4=price_e4, qty_e2=qty_e2, ticker=draw.choice([A, B]))
            bench.account.next_create.clear()
        elif kind < 0.7 and live:
            bench.account.next_cancel.append(draw.choice(_CANCELS))
            bench.run(bench.executor.cancel(draw.choice(live)))
            bench.account.next_cancel.clear()
        elif kind < 0.85 and bench.account.orders:
            order = draw.choice(list(bench.account.orders.values()))
            bench.account.fill(order, draw.randint(1, 500))
        bench.clock.now_ns += draw.randint(1, 3 * S)

    def tell(self) -> None:
        """Deliver the frames that wait: some not, some twice, some changed, in any order."""
        told, self.bench.account.sent = self.bench.account.sent, []
        frames = []
        for frame in told:
            kind = self.draw.random()
            if kind < 0.5:
                frames += [self.changed(frame)] if kind < 0.25 else [self.changed(frame), frame]
            elif kind < 0.9:
                frames += [frame] * self.draw.choice([1, 1, 2])
        self.draw.shuffle(frames)
        for frame in frames:
            self.bench.executor.take_message(frame)

    def changed(self, frame: dict[str, Any]) -> dict[str, Any]:
        """A frame with fields that are missing or odd."""
        lie = copy.deepcopy(frame)
        for _ in range(self.draw.choice([1, 1, 2, 3])):
            name = self.draw.choice(sorted(lie["msg"]))
            if self.draw.random() < 0.2 and len(lie["msg"]) > 1:
                del lie["msg"][name]
            else:
                lie["msg"][name] = self.draw.choice(ODD)
        return lie if self.draw.random() < 0.95 else {**lie, "msg": self.draw.choice(ODD)}

    def end(self) -> None:
        """Halt, let the truth come in, and compare."""
        bench, account = self.bench, self.bench.account
        bench.run(bench.executor.halt("the end"))
        bench.calm(150)
        ledger, snapshot = bench.executor.ledger, bench.executor.snapshot()
        assert snapshot.is_reconciled, snapshot.reconciled_why
        assert ledger.cash_e6 == account.cash_e6
        held = {t: account.position_e2(t) for t in (*account.yes_e2, *account.no_e2)}
        assert {t: ledger.position_e2(t) for t in held} == held
        assert [o for o in account.orders.values() if o.status == "resting"] == []
        assert [name for name, n in Counter(account.creates).items() if n > 1] == []
        theirs = {o.client_order_id for o in account.orders.values()}
        absent = {o.client_order_id for o in ledger.orders.values() if o.state.value == "absent"}
        assert absent & theirs == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_that_lie_change_nothing_for_good(benches, seed):
    bench = benches(grace_s=5)
    attack = Attack(bench, f"frames {seed}")
    for _ in range(attack.draw.randint(3, 10)):
        attack.act()
        attack.tell()
        if attack.draw.random() < 0.3:
            bench.calm(attack.draw.choice([1, 3, 8]))
    attack.end()


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_that_lie_are_no_evidence(benches, seed):
    bench = benches(grace_s=5, opened=False)
    attack = Attack(bench, f"answers {seed}")
    rest = PlainRest(bench.account)
    bench.reports = AccountCalls(rest)
    bench.open()
    for _ in range(attack.draw.randint(3, 8)):
        rest.spoil = spoiled(attack.draw, attack.draw.choice([0.1, 0.5, 1.0]))
        attack.act()
        attack.tell()
        bench.calm(attack.draw.choice([1, 3, 8, 20]))
    rest.spoil = lambda _endpoint, body: body
    attack.end()


@pytest.mark.parametrize("name", ["orders", "fills", "market_positions", "settlements"])
@pytest.mark.parametrize("answer", [{}, {"error": "too many requests"}, {"cursor": ""}])
def test_an_answer_without_its_list_is_no_empty_list(benches, name, answer):
    bench = benches()
    bench.reports = AccountCalls(
        PlainRest(bench.account, lambda endpoint, body: answer if name in body else body)
    )
    bench.close()
    with pytest.raises(Exception, match=rf"not whole|{name} is absent"):
        bench.open()
