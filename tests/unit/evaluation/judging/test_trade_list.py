"""The listed round trips: bounded, each once, with prices that the ledger tells."""

import pyarrow as pa

from kalshi_platform.evaluation.judging.trade_list import BEST, LONGEST, WORST, list_trips

ROW = {
    "ticker": "A", "seed": 0, "entry_ns": 10, "exit_ns": 20, "side": "yes", "contracts_e2": 1_000,
    "price_e4": 5_100, "paid_e6": 5_100_000, "fees_e6": 20_000, "pnl_e6": 1_780_000, "n_fills": 2,
    "ending": "sold",
}  # fmt: skip


def trips(*changes):
    return pa.Table.from_pylist([{**ROW, **change} for change in changes])


def test_the_worst_come_first_then_the_best_then_the_longest_each_once():
    table = trips({"pnl_e6": -5}, {"pnl_e6": 7}, {"pnl_e6": -9}, {"pnl_e6": 0, "exit_ns": 900}, {"pnl_e6": 8})
    parts = list_trips(table)
    assert [part.title for part in parts] == ["worst", "best", "held longest"]
    assert [[row.pnl_e6 for row in part.rows] for part in parts] == [[-9, -5], [8, 7], [0]]
    assert parts[2].rows[0].held_ns == 890


def test_a_hundred_thousand_trips_give_no_more_rows_than_the_bound():
    n = 100_000
    table = pa.table(
        {k: [v] * n for k, v in ROW.items() if k != "pnl_e6"} | {"pnl_e6": range(-50_000, 50_000)}
    )
    parts = list_trips(table)
    assert [len(part.rows) for part in parts] == [WORST, BEST, LONGEST]
    assert parts[0].rows[0].pnl_e6 == -50_000
    assert parts[1].rows[0].pnl_e6 == 49_999


def test_what_a_contract_brought_follows_from_what_was_paid_the_fees_and_the_profit():
    # 10 contracts for 5.10 $, fees .02 $, profit 1.78 $: they brought 6.90 $, 69 cents each
    (part,) = list_trips(trips({}))
    assert (part.rows[0].entry_e4, part.rows[0].exit_e4) == (5_100, 6_900)


def test_a_price_that_is_none_is_not_shown():
    hidden = trips({"contracts_e2": 100, "paid_e6": 510_000})  # nine of ten were bought and sold unseen
    assert list_trips(hidden)[0].rows[0].exit_e4 is None
    assert list_trips(trips({"contracts_e2": 0, "price_e4": None}))[0].rows[0].exit_e4 is None


def test_a_ledger_without_trips_lists_nothing():
    assert list_trips(trips({}).slice(0, 0)) == ()
