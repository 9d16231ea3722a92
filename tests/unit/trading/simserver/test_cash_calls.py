"""Subaccounts: made in order, each with cash, orders and positions of its own, transfers that work once."""

from made.sim_server import ONE_SHARD, serve_for

STILL = {"speed": 1e-6, "world": ONE_SHARD, "sweep_s": 0}
NAME = "7d1f8a34-2f3e-4cb0-8f55-8b9b9c2a1e11"


async def made_with(rest, cents):
    """A new subaccount with cash on shard 0."""
    number = (await rest.send("POST", "/portfolio/subaccounts", {})).json()["subaccount_number"]
    move = {
        "client_transfer_id": NAME, "from_subaccount": 0, "to_subaccount": number, "amount_cents": cents,
    }  # fmt: skip
    answer = await rest.send("POST", "/portfolio/subaccounts/transfer", move)
    assert (answer.status_code, answer.json()) == (200, {})
    return number, move


def test_a_subaccount_trades_with_its_own_cash_and_shows_its_own_lists():
    async def body(scene):
        rest, market = scene.rest, await scene.open_market()
        ticker, ask = market["ticker"], market["yes_ask_dollars"]
        number, _ = await made_with(rest, 5_000)
        assert number == 1
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["fill", "user_orders", "market_positions"])
            await ws.answer(1)
            bought = await rest.order(ticker, "bid", ask, "1", subaccount=1)
            assert bought.status_code == 201
            position = await ws.until(lambda f: f["type"] == "market_position")
        told = {f["type"]: f["msg"] for f in ws.frames}
        assert position["msg"]["subaccount"] == told["fill"]["subaccount"] == 1
        assert told["user_order"]["subaccount_number"] == 1
        poor = await rest.order(ticker, "bid", "0.0100", "9000", subaccount=1)
        assert poor.json()["error"]["code"] == "available_balance_too_low"
        rested = (await rest.order(ticker, "bid", "0.0100", "100", subaccount=1)).json()["order_id"]
        await rest.order(ticker, "bid", "0.0100", "3")
        assert len((await rest.get("/portfolio/orders"))["orders"]) == 3
        for sub, n in ((0, 1), (1, 2)):
            assert len((await rest.get("/portfolio/orders", subaccount=sub))["orders"]) == n
        assert (await rest.get("/portfolio/positions"))["market_positions"] == []  # number 0 by default
        (held,) = (await rest.get("/portfolio/positions", subaccount=1))["market_positions"]
        assert (held["position_fp"], held["resting_orders_count"]) == ("1.00", 1)
        place = f"/portfolio/events/orders/{rested}"
        assert (await rest.send("DELETE", place, market_ticker=ticker)).status_code == 404  # number 0's none
        less = await rest.send("POST", f"{place}/decrease", {"reduce_to": "50"}, subaccount=1)
        assert less.json()["remaining_count"] == "50.00"
        truth = (await scene.truth())["account"]
        assert truth["subaccounts"][1]["reserved_e6"][0] == 500_000
        assert truth["subaccounts"][1]["positions_e2"] == {ticker: 100}
        gone = await rest.send("DELETE", place, market_ticker=ticker, subaccount=1)
        assert gone.json()["reduced_by"] == "50.00"

    serve_for(body, **STILL)


def test_a_transfer_works_once_and_only_with_free_cash():
    async def body(scene):
        rest = scene.rest
        number, move = await made_with(rest, 1_234)
        again = await rest.send("POST", "/portfolio/subaccounts/transfer", move)
        assert again.status_code == 409
        other = "00000000-0000-4000-8000-000000000001"
        back = {"client_transfer_id": other, "from_subaccount": 1, "to_subaccount": 0}
        wrong = [
            back | {"amount_cents": 1_235}, back | {"from_subaccount": 0}, back | {"from_subaccount": 2},
            back | {"amount_cents": -1}, {"client_transfer_id": "no"},
        ]  # fmt: skip
        for change in wrong:
            answer = await rest.send("POST", "/portfolio/subaccounts/transfer", move | change)
            assert answer.status_code == 400, change
        balances = (await rest.get("/portfolio/subaccounts/balances"))["subaccount_balances"]
        assert [(b["subaccount_number"], b["balance"]) for b in balances if b["exchange_index"] == 0] == [
            (0, "9987.660000"), (number, "12.340000"),
        ]  # fmt: skip
        (listed,) = (await rest.get("/portfolio/subaccounts/transfers"))["transfers"]
        assert listed["amount_cents"] == 1_234

    serve_for(body, **STILL)


def test_what_is_not_modelled_is_refused_by_name():
    async def body(scene):
        rest = scene.rest
        moved = await rest.send("POST", "/portfolio/subaccounts/positions/transfer", {})
        netted = await rest.send(
            "PUT", "/portfolio/subaccounts/netting", {"subaccount_number": 0, "enabled": True}
        )
        for answer in (moved, netted):
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_modelled")
        configs = (await rest.get("/portfolio/subaccounts/netting"))["netting_configs"]
        assert configs == [{"subaccount_number": 0, "enabled": False}]

    serve_for(body, **STILL)


def test_the_basic_tier_has_no_subaccounts_and_no_tier_more_than_63():
    async def refused(scene):
        assert (await scene.rest.send("POST", "/portfolio/subaccounts", {})).status_code == 403

    async def body(scene):
        codes = [(await scene.rest.send("POST", "/portfolio/subaccounts", {})).status_code for _ in range(64)]
        assert codes == [201] * 63 + [400]

    serve_for(refused, **STILL, tier="basic")
    serve_for(body, **STILL)


def test_cancel_all_reaches_every_subaccount_and_a_group_stays_in_its_own():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        await made_with(rest, 5_000)
        group = await rest.send(
            "POST", "/portfolio/order_groups/create", {"contracts_limit": 5, "subaccount": 1}
        )
        name = group.json()["order_group_id"]
        foreign = await rest.order(ticker, "bid", "0.0100", "1", order_group_id=name)
        assert foreign.status_code == 404
        own = await rest.order(ticker, "bid", "0.0100", "1", order_group_id=name, subaccount=1)
        assert own.status_code == 201
        await rest.order(ticker, "bid", "0.0100", "1")
        assert (await rest.send("DELETE", "/portfolio/events/orders")).status_code == 204
        assert (await scene.truth())["account"]["resting"] == []

    serve_for(body, **STILL)
