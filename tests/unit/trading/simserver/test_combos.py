"""Combos: listed apart, told on their own channel, paid where every leg pays, and refused to orders."""

from made.sim_server import serve_for

SHORT = {"min_duration_s": 600, "max_duration_s": 900, "category_shares": [0.5, 0.3, 0.0, 0.2]}


def test_combos_are_listed_told_and_paid_as_their_legs_are():
    async def body(scene):
        rest = scene.rest
        combos = await rest.all("/markets", "markets", mve_filter="only")
        assert len(combos) == 3
        plain = await rest.all("/markets", "markets", mve_filter="exclude")
        both = await rest.all("/markets", "markets")
        assert len(both) == len(plain) + 3
        first = combos[0]
        assert first["ticker"].startswith("KXMVE")
        assert first["price_level_structure"] == "center_deci_edge_centi_cent"
        legs = first["mve_selected_legs"]
        assert len({leg["event_ticker"] for leg in legs}) == 2
        events = await rest.all("/events", "events")
        assert not [e for e in events if e["event_ticker"].startswith("KXMVE")]
        listed = await rest.all("/events/multivariate", "events", with_nested_markets="true")
        assert [e["markets"][0]["ticker"] for e in listed] == [c["ticker"] for c in combos]
        refused = await rest.order(first["ticker"], "bid", "0.0100", "1")
        assert refused.json()["error"]["code"] == "not_modelled"
        book = await rest.get(f"/markets/{first['ticker']}/orderbook")
        assert book == {"orderbook_fp": {"yes_dollars": [], "no_dollars": []}}
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["multivariate_market_lifecycle", "market_lifecycle_v2"])
            await ws.answer(1)
            scene.server.clock.speed = 400
            await ws.until(lambda f: f["type"] == "multivariate_market_lifecycle" and settles(f), 60)
            scene.server.clock.speed = 1e-9
            await ws.send(2, "list_subscriptions")
            await ws.answer(2)  # it comes after all frames sent before
        mine = [f["msg"] for f in ws.frames if f["type"] == "multivariate_market_lifecycle"]
        others = [f["msg"] for f in ws.frames if f["type"] == "market_lifecycle_v2"]
        assert all(msg["market_ticker"].startswith("KXMVE") for msg in mine)
        assert not [msg for msg in others if msg["market_ticker"].startswith("KXMVE")]
        paid = {m["ticker"]: m for m in await rest.all("/markets", "markets")}
        n_paid = 0
        for combo in await rest.all("/markets", "markets", mve_filter="only", status="settled"):
            wins = [paid[leg["market_ticker"]]["result"] == leg["side"] for leg in combo["mve_selected_legs"]]
            assert combo["result"] == ("yes" if all(wins) else "no")
            n_paid += 1
        assert n_paid >= 1
        assert len(await rest.all("/markets", "markets", mve_filter="only")) > 3

    serve_for(body, combos=3, n_events=3, speed=1e-6, world=SHORT, keep_events=200)


def settles(frame):
    return frame["msg"].get("event_type") == "settled"


def test_a_single_event_makes_no_combo():
    async def body(scene):
        assert await scene.rest.all("/markets", "markets", mve_filter="only") == []

    serve_for(body, combos=2, n_events=1, speed=1e-6)
