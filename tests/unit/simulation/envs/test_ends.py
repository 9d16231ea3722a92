"""How markets and episodes end: settled, truncated, closed for what it brings, and recorded so."""

import pytest
from made.replay_bank import (
    DEEP,
    T0_NS,
    Script,
    bank_of,
    book,
    market,
    quiet,
    rows_of,
)

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.ends import FAR_NS, liquidation_e6, next_row_ns
from kalshi_platform.simulation.replay.execution import ASK, BID, clear_order
from kalshi_platform.simulation.replay.state import CLOSED, ENDED, LIVE, allocate


class TestEnds:
    def test_terminated_means_settled(self):
        s = Script(bank_of(market(quiet(3), settlement_e4=0)))
        assert s.step(HOLD) == (False, False)
        assert s.step(HOLD) == (True, False)

    def test_truncated_means_the_data_or_the_budget_ran_out(self):
        assert Script(bank_of(market(quiet(3)))).run(HOLD, HOLD) == (False, True)
        s = Script(bank_of(market(quiet(9), settlement_e4=0)), max_steps=3)
        assert s.run(HOLD, HOLD) == (False, False)
        assert s.step(HOLD) == (False, True)
        assert s.records().settled.tolist() == [0]

    def test_an_outcome_is_not_paid_while_a_sibling_trades_before_the_close(self):
        close_ns = T0_NS + 45 * NS_PER_SECOND
        won = market(quiet(3), "A", settlement_e4=10_000, close_ns=close_ns)
        sibling = market(quiet(8), "B", settlement_e4=0, close_ns=close_ns)
        s = Script(bank_of(won, sibling), (0, 1))
        s.step(BUY_YES, HOLD)
        s.step(HOLD, HOLD)  # second 20: the last message of A
        cash = int(s.env.cash_e6)
        assert (s.slot(0).state, s.mask(0), s.slot(0).position_e2) == (LIVE, [1, 1, 1, 0, 0], 1_000)
        for _ in range(2):  # seconds 30 and 40
            s.step(HOLD, HOLD)
        assert (s.slot(0).state, int(s.env.cash_e6)) == (LIVE, cash)
        s.step(HOLD, HOLD)  # second 50: past the close
        assert (s.slot(0).state, s.slot(0).settled) == (ENDED, 1)
        assert int(s.env.cash_e6) == cash + 10_000_000

    @pytest.mark.parametrize("settlement_e4", [-1, 10_000])
    def test_until_its_close_nothing_tells_that_a_market_sends_no_more(self, settlement_e4):
        def seen(*, goes_on):
            own = (
                quiet(3)
                if not goes_on
                else rows_of(*[book(t, ((4_000, DEEP),), ((5_000, DEEP),)) for t in (0, 10, 20, 41)])
            )
            own.features[:, 1] = 0.0
            first = market(own, "A", settlement_e4=settlement_e4, close_ns=T0_NS + 45 * NS_PER_SECOND)
            s = Script(bank_of(first, market(quiet(8), "B")), (0, 1))
            s.step(BUY_YES, HOLD)
            return [(s.step(HOLD, HOLD), s.flat.tobytes(), s.rewards[-1]) for _ in range(3)]  # to second 40

        assert seen(goes_on=True) == seen(goes_on=False)

    def test_until_the_row_that_shows_it_nothing_tells_of_a_gap(self):
        lost = quiet(4, step_s=17.0)  # seconds 0, 17, 34, 51
        lost.valid[2] = 0
        s = Script(bank_of(market(lost, "A"), market(quiet(8), "B")), (0, 1))
        states = []
        for _ in range(5):  # seconds 10, 17, 20, 30, 40
            s.step(HOLD, HOLD)
            states.append(int(s.slot(0).state))
        assert states == [LIVE, LIVE, LIVE, LIVE, ENDED]

    def test_an_order_after_the_last_row_is_refused_where_nobody_knows_the_book(self):
        own = market(quiet(3), "A", settlement_e4=0, close_ns=T0_NS + 45 * NS_PER_SECOND)
        s = Script(bank_of(own, market(quiet(8), "B")), (0, 1))
        for _ in range(3):
            s.step(HOLD, HOLD)
        s.step(BUY_YES, HOLD)  # second 30; its last row came at second 20
        assert (s.slot(0).position_e2, s.slot(0).n_orders, int(s.env.reserved_e6)) == (0, 1, 0)

    def test_without_a_known_close_the_outcome_waits_for_the_end(self):
        bank = bank_of(market(quiet(3), "A", settlement_e4=10_000), market(quiet(5), "B"))
        s = Script(bank, (0, 1))
        s.step(BUY_YES, HOLD)
        s.step(HOLD, HOLD)
        s.step(HOLD, HOLD)
        assert s.slot(0).state == CLOSED
        assert s.step(HOLD, HOLD) == (False, True)
        records = s.records()
        assert records.settled.tolist() == [1, 0]
        assert records.pnl_e6.tolist() == [4_825_000, 0]

    def test_where_data_end_among_others_the_position_is_closed_for_what_it_brings(self):
        s = Script(bank_of(market(quiet(3), "A"), market(quiet(5), "B")), (0, 1))
        s.step(BUY_YES, HOLD)
        s.step(HOLD, HOLD)
        # bought 10 at 0.50 (fee 0.175), sold at the bid of 0.40 (fee 0.07 * 10 * 0.24 = 0.168)
        assert s.slot(0).state == ENDED
        assert s.slot(0).slot_cash_e6 == -5_000_000 - 175_000 + 4_000_000 - 168_000
        assert s.slot(0).fees_e6 == 175_000 + 168_000

    def test_an_order_still_resting_at_the_end_frees_its_cash(self):
        bank = bank_of(market(quiet(3), "A", settlement_e4=0), market(quiet(5), "B"))
        s = Script(bank, (0, 1), order_style="maker")
        s.step(BUY_YES, HOLD)
        assert s.env.reserved_e6 > 0
        s.step(HOLD, HOLD)
        assert s.env.reserved_e6 == 0


class TestLiquidation:
    PARAMS = EnvConfig(n_slots=1).execution

    def close(
        self, kernel, position_e2, params=None, bids=((4_000, DEEP),), asks=((5_000, DEEP),), valid=1,
        provenance="recorded", taken=(),
    ):  # fmt: skip
        row = book(0, bids, asks, valid=valid), book(1, bids, asks, valid=valid)
        arrays = bank_of(market(rows_of(*row), provenance=provenance)).arrays
        _, slots = allocate(1, 1)
        clear_order(slots[0, 0])
        slots[0, 0].position_e2, slots[0, 0].mark2_e4 = position_e2, 9_000  # marked at the mid of 0.45
        for side, price_e4, qty_e2 in taken:
            slots[0, 0].taken_px_e4[side, 0], slots[0, 0].taken_e2[side, 0] = price_e4, qty_e2
        return kernel(arrays.rows[0], arrays.markets[0], arrays.terms[0], slots[0, 0], params or self.PARAMS)

    @pytest.mark.parametrize("kernel", [liquidation_e6, liquidation_e6.py_func], ids=["numba", "python"])
    def test_closing_pays_the_best_price_less_a_taker_s_fee(self, kernel):
        # 10 YES sold at 0.40: 4.00 less 0.07 x 10 x 0.24 = 0.168
        assert self.close(kernel, 1_000) == (4_000_000 - 168_000, 168_000)
        # 10 NO closed by lifting the ask at 0.50: 5.00 less 0.07 x 10 x 0.25 = 0.175
        assert self.close(kernel, -1_000) == (5_000_000 - 175_000, 175_000)
        assert self.close(kernel, 0) == (0, 0)

    @pytest.mark.parametrize("kernel", [liquidation_e6, liquidation_e6.py_func], ids=["numba", "python"])
    def test_it_walks_the_levels_and_what_they_cannot_take_is_worth_nothing(self, kernel):
        bids = ((4_000, 100), (3_000, 200))
        # 1 at 0.40: fee 0.07 x 0.24 = 0.0168;  2 at 0.30: fee 0.07 x 2 x 0.21 = 0.0294;  7 at nothing
        assert self.close(kernel, 1_000, bids=bids) == (400_000 - 16_800 + 600_000 - 29_400, 46_200)
        # 3 NO: 1 asked at 0.70 brings 0.30, the ask of 0.90 takes the other 2 for 0.10 each: 0.07 x 2 x 0.09
        asks = ((7_000, 100), (9_000, 500))
        assert self.close(kernel, -300, asks=asks) == (300_000 - 14_700 + 200_000 - 12_600, 27_300)
        assert self.close(kernel, 1_000, bids=()) == (0, 0)
        assert self.close(kernel, -1_000, asks=()) == (0, 0)

    def test_its_fills_share_the_accumulator_of_one_order(self):
        # 0.01 at 0.51 and at 0.49, each with a fee of 175 (174.93 rounded up): 5_100 - 175 = 4_925 -> 4_900,
        # 25 kept; 4_725 -> 4_700, 50 kept. A third at 0.47: 4_525 -> 4_500, 75 kept; a fourth at 0.45 (fee
        # 174): 4_326 -> 4_300, 101 kept: 100 come back
        bids = ((5_100, 1), (4_900, 1), (4_700, 1), (4_500, 1))
        assert self.close(liquidation_e6, 4, bids=bids)[0] == 4_900 + 4_700 + 4_500 + 4_300 + 100

    def test_what_the_slot_took_before_is_gone(self):
        params = self.PARAMS._replace(fee_scale_e6=0)
        bids = ((4_000, 300), (3_000, 500))
        found = self.close(liquidation_e6, 400, params, bids, taken=[(BID, 4_000, 200), (ASK, 3_000, 500)])
        assert found == (100 * 4_000 + 300 * 3_000, 0)

    def test_a_size_that_nobody_knows_takes_all(self):
        params = self.PARAMS._replace(fee_scale_e6=0)
        for provenance in ("quotes", "trade_implied"):
            close = self.close(liquidation_e6, 1_000, params, ((4_000, -1),), (), provenance=provenance)
            assert close == (4_000_000, 0)

    def test_a_side_that_was_never_printed_is_not_known_to_be_empty(self):
        params = self.PARAMS._replace(fee_scale_e6=0)
        assert self.close(liquidation_e6, 1_000, params, (), (), provenance="trade_implied") == (4_500_000, 0)
        assert self.close(liquidation_e6, 1_000, params, (), (), provenance="quotes") == (0, 0)

    def test_in_a_crossed_book_nobody_pays_more_than_the_other_side_asks(self):
        params = self.PARAMS._replace(fee_scale_e6=0)
        crossed = ((6_000, DEEP),), ((4_000, DEEP),)
        assert self.close(liquidation_e6, 1_000, params, *crossed, valid=2) == (4_000_000, 0)
        assert self.close(liquidation_e6, -1_000, params, *crossed, valid=2) == (4_000_000, 0)

    def test_without_fees_it_pays_the_price(self):
        assert self.close(liquidation_e6, 1_000, self.PARAMS._replace(fee_scale_e6=0)) == (4_000_000, 0)

    def test_a_slot_without_a_further_row_has_no_next_time(self):
        rows = bank_of(market(rows_of(book(0), book(10)))).arrays.rows
        _, slots = allocate(1, 1)
        slot = slots[0, 0]
        slot.state, slot.cursor, slot.stop, slot.shift_ns = LIVE, 0, 2, 4 * NS_PER_SECOND
        for kernel in (next_row_ns, next_row_ns.py_func):
            assert kernel(rows, slot) == T0_NS + 6 * NS_PER_SECOND  # ten seconds on, less the shift
        slot.cursor = 1
        assert next_row_ns(rows, slot) == FAR_NS
        slot.cursor, slot.state = 0, ENDED
        assert next_row_ns(rows, slot) == FAR_NS
