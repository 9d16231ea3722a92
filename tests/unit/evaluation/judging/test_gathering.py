"""What the checkup looks at, counted from rollouts: opened sides, crossed and old books, silent markets."""

import numpy as np
from made.evaluation_bank import bank_of, market, random_bank
from made.judging import ENV, QUICK
from made.replay_bank import changed
from made.rollouts import Script

from kalshi_platform.domain.saying import silent
from kalshi_platform.evaluation.judging.evaluate import PlayStage, evaluate, play
from kalshi_platform.evaluation.judging.gathering import book_looks, opened_sides, unprinted_markets
from kalshi_platform.models.rules.baselines import DoNothing
from kalshi_platform.simulation.replay.bank import ROW_CROSSED

FEW = QUICK.replace(fee_ladder=False, fee_times=False, what_if=False, baselines=())


def idle(env):
    return DoNothing(env.layout)


def test_trips_are_counted_by_the_side_they_opened():
    bank = random_bank(4, 1, 40)
    stage = PlayStage(bank, FEW, silent)
    buys_no = stage.play(lambda env: Script(env.layout, [3, 4]), ENV, "policy", keep_trips=True)
    found = opened_sides(buys_no)
    assert (found.yes, found.no, found.unknown) == (0, 4, 0)  # one purchase of NO in each market
    assert opened_sides(play(idle, bank, ENV, FEW)) is None


def test_decisions_on_crossed_books_are_counted():
    bank = random_bank(2, 2, 30)
    rows = bank.arrays.rows.copy()
    rows["state"][bank.arrays.segments["start"][0]] |= ROW_CROSSED  # the first decision of one market
    found = book_looks(play(idle, changed(bank, rows=rows), ENV, FEW))
    assert found.crossed == 1
    assert found.decisions == 4 * 29  # a decision at every row but the last
    assert (found.old_polled, found.old_fed) == (0, 0)


def test_an_old_book_is_told_apart_by_who_keeps_it():
    # two markets of an event: one has a message a second, the other only one at the start
    lively, quiet = [5_000] * 200, [5_000, 5_000]
    for provenance, of_feed in (("quotes", False), ("recorded", True)):
        bank = bank_of(
            market("A", "E", lively, provenance=provenance),
            market("B", "E", quiet, provenance=provenance, step_ns=250_000_000_000),
        )
        found = book_looks(play(idle, bank, ENV, FEW.replace(schedule="events")))
        # B stands at its first row from second 0 on; older than 60 s from second 61 to 199
        assert (found.old_fed if of_feed else found.old_polled) == 139
        assert (found.old_polled if of_feed else found.old_fed) == 0


def test_the_finding_comes_from_the_rollouts():
    bank = bank_of(
        market("A", "E", [5_000] * 200, provenance="quotes"),
        market("B", "E", [5_000, 5_000], provenance="quotes", step_ns=250_000_000_000),
    )
    got = evaluate(idle, bank, ENV, FEW.replace(schedule="events"))
    (found,) = [f for f in got.findings if f.rule == "bad_books"]
    assert (found.severity, found.evidence["old_polled"]) == ("warning", 139)


def test_a_market_without_a_print_is_counted():
    bank = random_bank(4, 1, 60)
    assert unprinted_markets(bank) == 4
    segments = bank.arrays.segments.copy()
    segments["printed"][1] = 1
    assert unprinted_markets(changed(bank, segments=segments)) == 3
    assert np.unique(bank.arrays.segments["market"]).size == 4
