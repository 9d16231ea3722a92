"""The trades: one row a fill, by seed and time, with prices of the action's own side."""

from made.judging import QUICK

from kalshi_platform.evaluation.judging.trades_table import DEEDS


def test_rows_come_by_seed_and_time_and_name_their_market(judged_with_ledger):
    rows = judged_with_ledger[1].trades.to_pylist()
    assert rows == sorted(rows, key=lambda row: (row["seed"], row["at_ns"], row["episode"], row["slot"]))
    assert {row["seed"] for row in rows} == set(QUICK.seeds)
    assert all(row["ticker"].startswith(f"M{row['event'][1:]}-") for row in rows)
    assert {row["action"] for row in rows} <= set(DEEDS)


def test_a_price_is_the_value_over_the_contracts_and_only_a_fill_has_one(judged_with_ledger):
    rows = judged_with_ledger[1].trades.to_pylist()
    priced = [row for row in rows if row["action"] not in ("mixed", "valued")]
    assert priced
    for row in priced:
        assert abs(row["price_e4"] * row["contracts_e2"] - row["value_e6"]) <= row["contracts_e2"] / 2
        assert row["liquidity"] == "taker"
        assert row["n_fills"] > 0
    valued = [row for row in rows if row["action"] == "valued"]
    assert all(row["price_e4"] is None and row["contracts_e2"] == row["n_fills"] == 0 for row in valued)


def test_positions_follow_from_the_fills_before_them(judged_with_ledger):
    held = {}
    for row in judged_with_ledger[1].trades.to_pylist():
        key = (row["seed"], row["episode"], row["slot"])
        sign = {"buy_yes": 1, "sell_no": 1, "sell_yes": -1, "buy_no": -1}.get(row["action"])
        if sign is None:
            continue
        held[key] = held.get(key, 0) + sign * row["contracts_e2"]
        assert row["position_e2"] == held[key]
    assert held
