"""The account of the wire is one kept by hand, to the last unit: fees, cash, positions, settlements."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from made.sim_server import serve_for
from made.wire_account import PlainAccount

RUNS = {
    "speed": 400, "n_events": 3, "sweep_s": 0,
    "world": {"category_shares": [0.5, 0.3, 0.0, 0.2], "takers_per_hour": 400.0},
}  # fmt: skip


@pytest.mark.parametrize("seed", [3, 4])
def test_every_fee_and_the_cash_of_each_subaccount_are_those_kept_by_hand(seed):
    async def body(scene):
        rest, rng = scene.rest, np.random.default_rng(seed)
        assert (await rest.send("POST", "/portfolio/subaccounts")).json() == {"subaccount_number": 1}
        move = {
            "client_transfer_id": "7d1f8a34-2f3e-4cb0-8f55-8b9b9c2a1e11", "from_subaccount": 0,
            "to_subaccount": 1, "amount_cents": 150_000,
        }  # fmt: skip
        assert (await rest.send("POST", "/portfolio/subaccounts/transfer", move)).status_code == 200
        for turn in range(60):
            await trade(rest, rng)
            if turn == 20:
                await next_slice(scene.server.clock)  # fills of the same slice have the time of the change
                await scene.plant("fee_change")
            await asyncio.sleep(0.03)
        await scene.until(lambda: paid(rest), 60)
        await agree(scene)

    async def trade(rest, rng):
        markets = await rest.all("/markets", "markets", status="open")
        market = markets[int(rng.integers(len(markets)))]
        bid, ask = market["yes_bid_dollars"], market["yes_ask_dollars"]
        side = ("bid", "ask")[int(rng.integers(2))]
        price = (bid, ask)[int(rng.integers(2))]
        if "0.0000" < price < "1.0000":
            tif = ("good_till_canceled", "immediate_or_cancel")[int(rng.integers(2))]
            await rest.order(
                market["ticker"], side, price, f"{int(rng.integers(1, 4_000)) / 100:.2f}",
                subaccount=int(rng.integers(2)), time_in_force=tif,
            )  # fmt: skip
        resting = await rest.all("/portfolio/orders", "orders", status="resting")
        if resting and rng.random() < 0.3:
            order = resting[int(rng.integers(len(resting)))]
            place = f"/portfolio/events/orders/{order['order_id']}"
            await rest.send("POST", f"{place}/decrease", {"reduce_by": "0.37"}, **sub_of(order))

    async def paid(rest):
        return len(await rest.all("/portfolio/settlements", "settlements")) >= 2

    serve_for(body, seed=seed, **RUNS)


async def next_slice(clock):
    """Wait until simulated time moves on."""
    now_ns = clock.now_ns
    while clock.now_ns == now_ns:
        await asyncio.sleep(0.001)


def sub_of(order):
    return {"subaccount": order["subaccount_number"]}


async def agree(scene):
    """Compare everything while the world stands still and nothing rests."""
    rest = scene.rest
    scene.server.clock.speed = 1e-9
    await asyncio.sleep(0.1)
    assert (await rest.send("DELETE", "/portfolio/events/orders")).status_code == 204
    event_of = {m["ticker"]: m["event_ticker"] for m in await rest.all("/markets", "markets")}
    changes = {
        each["event_ticker"]: (each["scheduled_ts"], Fraction(str(each["fee_multiplier_override"])))
        for each in (await rest.get("/events/fee_changes"))["event_fee_changes"]
    }
    assert changes
    n_makers = 0
    for number, cash in ((0, 38_500), (1, 1_500)):
        mine = PlainAccount(Fraction(cash), changes)
        fills = await rest.all("/portfolio/fills", "fills", subaccount=number, limit=5)
        assert len(fills) > 5
        for fill in reversed(fills):
            assert fill["subaccount_number"] == number
            assert Fraction(fill["fee_cost"]) == mine.fill(fill, event_of[fill["ticker"]]), fill
            n_makers += not fill["is_taker"]
        for settled in await rest.all("/portfolio/settlements", "settlements", subaccount=number):
            mine.settle(settled)
        balance = await rest.get("/portfolio/balance", subaccount=number)
        assert Fraction(balance["balance_dollars"]) == mine.cash
        held = await rest.all(
            "/portfolio/positions", "market_positions", subaccount=number, settlement_status="all"
        )
        assert {p["ticker"]: Fraction(p["position_fp"]) for p in held} == dict(mine.position)
        by_event = await rest.all(
            "/portfolio/positions", "event_positions", subaccount=number, settlement_status="all", limit=1
        )
        exposed = [Fraction(each["market_exposure_dollars"]) for each in held]
        assert sum(Fraction(each["event_exposure_dollars"]) for each in by_event) == sum(exposed)
        for position in held:
            earned = Fraction(position["realized_pnl_dollars"]) - Fraction(
                position["market_exposure_dollars"]
            )
            assert earned == mine.moved[position["ticker"]]
            assert Fraction(position["fees_paid_dollars"]) == mine.fees[position["ticker"]]
    assert n_makers > 3
    total = Fraction((await rest.get("/portfolio/balance"))["balance_dollars"])
    balances = (await rest.get("/portfolio/subaccounts/balances"))["subaccount_balances"]
    assert total == sum(Fraction(each["balance"]) for each in balances)
