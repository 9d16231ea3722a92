"""Fills by hand: prices 1e-4 dollar, sizes 1e-2 contract, cash 1e-6 dollar; fees of a direct member."""

from dataclasses import replace

import pytest
from made.replay_bank import CAPITAL_E6, T0_NS, Script, bank_of, book, market, rows_of

from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.domain.fee_schedule import FeeStep
from kalshi_platform.domain.market import PriceBand
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.simulation.replay.execution import IDLE, RESTING, SEEKING

DEEP = 100_000


def still(n=4, bids=((4_000, DEEP),), asks=((5_000, DEEP),)):
    """n rows of the same book, ten seconds apart."""
    return [book(10.0 * k, bids, asks) for k in range(n)]


def script(*books, style="taker", settlement_e4=-1, provenance="recorded", spec=None, **config):
    bank = bank_of(
        market(rows_of(*books), settlement_e4=settlement_e4, provenance=provenance, **(spec or {}))
    )
    return Script(bank, order_style=style, **config)


class TestTaker:
    def test_walks_the_levels_to_its_limit_and_cancels_the_rest(self):
        asks = ((5_000, 300), (5_100, 400), (5_300, 1_000))
        s = script(*still(asks=asks), max_slippage_e4=200)
        s.step(BUY_YES)
        # limit 0.50 + 0.02 = 0.52: 3.00 at 0.50 and 4.00 at 0.51 fill, 3.00 of 10.00 are cancelled
        # 3 @ 0.50: 0.07 * 3 * 0.25        = 0.0525   -> cash -1.5525
        # 4 @ 0.51: 0.07 * 4 * 0.51 * 0.49 = 0.069972 -> -2.109972, aligned to 1e-4: -2.1100, fee 0.0700
        assert s.slot().position_e2 == 700
        assert s.env.cash_e6 == CAPITAL_E6 - 1_552_500 - 2_110_000
        assert s.slot().fees_e6 == 52_500 + 70_000
        assert s.slot().cost_e6 == 1_500_000 + 2_040_000
        assert (s.slot().order_state, s.env.reserved_e6) == (IDLE, 0)

    def test_fills_of_one_order_share_an_accumulator(self):
        asks = ((5_100, 400), (5_200, 300), (5_300, 300))
        s = script(*still(asks=asks), max_slippage_e4=300)
        s.step(BUY_YES)
        # 4 @ 0.51: fee 0.069972, keeps 28e-6 (above);      accumulator  28
        # 3 @ 0.52: 0.07 * 3 * 0.52 * 0.48 = 0.052416, -1.612416 -> -1.6125, keeps 84; 112: 100 back
        # 3 @ 0.53: 0.07 * 3 * 0.53 * 0.47 = 0.052311, -1.642311 -> -1.6424, keeps 89; 101: 100 back
        assert s.slot().fees_e6 == 70_000 + (52_416 + 84 - 100) + (52_311 + 89 - 100)
        assert s.env.cash_e6 == CAPITAL_E6 - 2_110_000 - 1_612_400 - 1_642_300

    def test_buys_no_from_the_bids_at_one_less_the_price(self):
        s = script(*still(bids=((4_000, 500), (3_900, 600))))
        s.step(BUY_NO)
        # 5 NO @ 0.60: 0.07 * 5 * 0.24 = 0.084;  5 NO @ 0.61: 0.07 * 5 * 0.39 * 0.61 = 0.083265 -> 0.0833
        assert s.slot().position_e2 == -1_000
        assert s.slot().cost_e6 == 3_000_000 + 3_050_000
        assert s.env.cash_e6 == CAPITAL_E6 - 3_084_000 - 3_133_300
        s.step(SELL_NO)
        # 10 NO sold by lifting the YES ask at 0.50: +5.00 less 0.07 * 10 * 0.25 = 0.175
        assert s.slot().position_e2 == 0
        assert s.slot().cost_e6 == 0
        assert s.env.cash_e6 == CAPITAL_E6 - 3_084_000 - 3_133_300 + 4_825_000

    def test_selling_half_keeps_half_the_cost(self):
        s = script(*still(6), order_qty_e2=400, position_limit_e2=800)
        s.run(BUY_YES, BUY_YES)
        assert s.slot().cost_e6 == 4_000_000  # 8 @ 0.50
        s.step(SELL_YES)
        assert (s.slot().position_e2, s.slot().cost_e6) == (400, 2_000_000)

    def test_what_it_took_is_gone_until_more_is_displayed(self):
        first, grown = ((5_000, 300), (5_100, 400)), ((5_000, 450), (5_100, 400))
        books = [book(0, (), first), book(10, (), first), book(20, (), grown), book(30, (), grown)]
        s = script(*books)
        s.step(BUY_YES)
        assert s.slot().position_e2 == 700
        s.step(BUY_YES)
        assert s.slot().position_e2 == 700  # the same 7 contracts are displayed, and they are taken
        s.step(BUY_YES)
        assert s.slot().position_e2 == 850  # 4.50 displayed at 0.50, of which 3.00 are taken

    def test_five_taken_levels_are_all_remembered(self):
        asks = tuple((5_000 + 100 * k, 100) for k in range(5))
        s = script(*still(5, asks=asks), max_slippage_e4=1_000)
        s.run(BUY_YES, BUY_YES, BUY_YES)
        assert s.slot().position_e2 == 500

    def test_remembers_a_price_once_however_other_prices_come_and_go(self):
        both, worse = ((5_000, 300), (5_100, 300)), ((5_100, 300),)
        books = [book(10 * k, (), a) for k, a in enumerate((both, worse, worse, worse))]
        s = script(*books)
        s.run(BUY_YES, BUY_YES, BUY_YES)
        assert s.slot().position_e2 == 600  # 5_000 was forgotten when it went; 5_100 was not

    def test_a_price_that_went_and_came_back_is_fresh(self):
        shown, gone = ((5_000, 300),), ((6_000, 300),)
        s = script(*[book(10 * k, (), a) for k, a in enumerate((shown, gone, shown, shown))])
        s.run(BUY_YES, HOLD, BUY_YES)
        assert s.slot().position_e2 == 600

    def test_sells_no_more_than_it_holds(self):
        s = script(*still(), order_qty_e2=1_000)
        s.step(BUY_YES)
        s.slot().position_e2 = 250
        s.step(SELL_YES)
        assert s.slot().position_e2 == 0

    @pytest.mark.parametrize(
        ("latency_s", "price_e4"),
        [
            (0, 5_000),  # the book of the decision
            (9, 5_000),  # the next message has not come yet
            (10, 5_050),  # arrives with a message: after it
            (19, 5_050),  # between messages: the book as it stands, not the next one
            (20, 5_060),
        ],
    )
    def test_meets_the_book_as_it_stands_when_it_arrives(self, latency_s, price_e4):
        books = [book(10 * k, (), ((p, DEEP),)) for k, p in enumerate((5_000, 5_050, 5_060, 9_000))]
        s = script(*books, latency_ms=1_000 * latency_s)
        s.run(BUY_YES, HOLD, HOLD)
        assert s.slot().cost_e6 == price_e4 * 1_000

    def test_a_price_beyond_the_limit_on_arrival_fills_nothing(self):
        books = [book(10 * k, (), ((p, DEEP),)) for k, p in enumerate((5_000, 5_101, 5_000, 5_000))]
        s = script(*books, latency_ms=10_000, max_slippage_e4=100)
        s.run(BUY_YES, HOLD)
        assert (s.slot().n_orders, s.slot().n_fills, s.env.reserved_e6) == (1, 0, 0)

    def test_in_flight_it_reserves_its_cost_and_blocks_further_orders(self):
        s = script(*still(), latency_ms=15_000, max_slippage_e4=100)
        s.step(BUY_YES)
        # 10 at the limit of 0.51, the highest fee 0.07 * 10 * 0.25 = 0.175, one balance unit of 1e-4
        assert s.env.reserved_e6 == 5_100_000 + 175_000 + 100
        assert s.mask() == [1, 0, 0, 0, 0]
        s.step(HOLD)
        assert (s.env.reserved_e6, s.slot().position_e2) == (0, 1_000)

    def test_the_fee_ladder_scales_fees_and_none_means_none(self):
        for scale, fee_e6 in ((0, 0), (500_000, 87_500), (1_000_000, 175_000), (2_000_000, 350_000)):
            s = script(*still(), fee_scale_e6=scale)
            s.step(BUY_YES)  # 10 @ 0.50: 0.07 * 10 * 0.25 = 0.175 at scale 1
            assert s.slot().fees_e6 == fee_e6
            assert s.env.cash_e6 == CAPITAL_E6 - 5_000_000 - fee_e6

    def test_a_broker_customer_pays_whole_cents(self):
        s = script(*still(), order_qty_e2=100, direct_member=False)
        s.step(BUY_YES)  # 1 @ 0.50: 0.0175, the balance moves by whole cents
        assert s.slot().fees_e6 == 20_000


class TestMaker:
    def test_waits_behind_the_queue_which_prints_and_cancels_ahead_shorten(self):
        bid = ((4_000, 500),)
        books = [
            book(0, bid, ((5_000, DEEP),)),
            book(10, bid, (), (NO, 4_000, 300)),  # queue 500 -> 200
            book(20, ((4_000, 100),), ()),  # no more than the 100 displayed can stand ahead
            book(30, bid, (), (NO, 4_000, 250)),  # 100 of it go to the queue, 150 are ours
            book(40, bid, (), (YES, 5_000, 900)),  # the other side
            book(50, bid, (), (NO, 3_900, 400)),  # strictly through: 400 more
            book(60, bid, (), (NO, 4_000, 9_000)),  # at our price with no queue left: the rest
            book(70, bid, ()),
        ]
        s = script(*books, style="maker")
        positions = []
        s.step(BUY_YES)
        for _ in range(6):
            positions.append(int(s.slot().position_e2))
            s.step(HOLD)
        assert positions == [0, 0, 150, 150, 550, 1_000]
        assert s.slot().cost_e6 == 4_000_000
        assert s.slot().fees_e6 == 0  # this series has no maker fee
        assert (s.slot().order_state, s.env.reserved_e6) == (IDLE, 0)

    def test_without_a_queue_the_first_print_at_its_price_fills_it(self):
        bid = ((4_000, 500),)
        books = [
            book(0, bid, ((5_000, DEEP),)),
            book(10, bid, (), (NO, 4_000, 300)),  # nobody is ahead: 300 are ours
            book(20, bid, (), (NO, 4_000, 250)),
            book(30, bid, ()),
        ]
        s = script(*books, style="maker", maker_queue=False)
        s.step(BUY_YES)
        assert s.slot().position_e2 == 300
        s.step(HOLD)
        assert s.slot().position_e2 == 550
        waiting = script(*books, style="maker")
        waiting.run(BUY_YES, HOLD)
        assert waiting.slot().position_e2 == 50  # 500 are ahead: of 550 printed, 50 reach it

    def test_buys_no_by_resting_at_the_ask(self):
        books = [book(0, (), ((6_000, 100),)), book(10, (), ((6_000, 100),), (YES, 6_100, 700)), *still(2)]
        books[2:] = [book(20, (), ((6_000, 100),)), book(30, (), ((6_000, 100),))]
        s = script(*books, style="maker")
        s.step(BUY_NO)
        assert (s.slot().position_e2, s.slot().cost_e6) == (-700, 700 * 4_000)

    def test_pays_the_maker_fee_of_its_series(self):
        books = [book(0, ((5_000, 10),), ()), book(10, (), (), (NO, 4_900, DEEP)), book(20), book(30)]
        s = script(*books, style="maker", spec={"fee_type": "quadratic_with_maker_fees"})
        s.step(BUY_YES)  # 10 @ 0.50: 0.0175 * 10 * 0.25 = 0.04375 -> -5.04375 aligned to -5.0438
        assert s.env.cash_e6 == CAPITAL_E6 - 5_043_800

    @pytest.mark.parametrize(("fees", "paid_e6"), [("as_of", [30_000, 50_000]), ("today", [21_900, 43_800])])
    def test_pays_what_the_exchange_charged_then_or_charges_today(self, fees, paid_e6):
        # Two fills of 5 @ 0.50, each 0.0175 x 5 x 0.25 = 0.021875. Before 2026 the order paid up to the cent:
        # 0.03, then 0.021875 less the 0.008125 paid ahead, so 0.02. Today: 0.0219 each, 0.00005 collected.
        part = (NO, 4_900, 500)
        books = [
            book(0, ((5_000, 10),), ()),
            book(10, (), (), part),
            book(20, (), (), part),
            book(30),
            book(40),
        ]
        made = market(rows_of(*books), fee_type="quadratic_with_maker_fees")
        told = constant_history(made.info.specification)
        (now,) = told.fees
        then = now.terms.replace(rounding="cent_per_order")
        told = told.replace(fees=(FeeStep(from_ns=0, terms=then),))
        bank = bank_of(replace(made, info=replace(made.info, told=told)))
        s = Script(bank, order_style="maker", fees=fees)
        seen = []
        for action in (BUY_YES, HOLD):
            s.step(action)
            seen.append(s.slot().fees_e6)
        assert seen == paid_e6

    def test_an_order_that_arrives_after_a_change_of_fees_pays_the_new_ones(self):
        made = market(rows_of(*still(3)))
        told = constant_history(made.info.specification)
        free = FeeStep(from_ns=T0_NS + 5, terms=told.fees[0].terms.replace(fee_multiplier_e6=0))
        info = replace(made.info, told=told.replace(fees=(told.fees[0], free)))
        for latency_ms, fees_e6 in ((0, 175_000), (1, 0)):  # 10 at 0.50; no row comes between
            s = Script(bank_of(replace(made, info=info)), latency_ms=latency_ms)
            s.step(BUY_YES)
            assert (s.slot().position_e2, s.slot().fees_e6) == (1_000, fees_e6)

    def test_a_print_through_its_price_before_it_arrives_is_missed(self):
        bid = ((4_000, 1),)
        books = [book(0, bid), book(10, bid, (), (NO, 3_900, DEEP)), book(20, bid), book(30, bid)]
        s = script(*books, style="maker", latency_ms=10_000)
        s.run(BUY_YES, HOLD)
        assert s.slot().position_e2 == 0
        assert s.slot().order_state == RESTING

    def test_is_refused_where_it_would_cross(self):
        books = [
            book(0, ((4_000, 1),), ((5_000, 1),)),
            book(10, ((3_000, 1),), ((4_000, 1),)),
            book(20),
            book(30),
        ]
        s = script(*books, style="maker", latency_ms=10_000)
        s.step(BUY_YES)  # arrives with the ask at its own price
        assert (s.slot().order_state, s.env.reserved_e6, s.slot().n_fills) == (IDLE, 0, 0)

    def test_keeps_resting_until_the_order_that_replaces_it_arrives(self):
        bid = ((4_000, 1),)
        books = [
            book(0, bid),
            book(10, bid),
            # between decision (10) and arrival (15) the old order fills
            book(12, bid, (), (NO, 3_900, 300)),
            book(16, bid),
            book(20, bid, (), (NO, 3_900, DEEP)),
            book(30, bid),
        ]
        s = script(*books, style="maker", latency_ms=5_000, position_limit_e2=1_000)
        s.run(BUY_YES, BUY_YES, HOLD)
        assert s.slot().position_e2 == 300
        assert (s.slot().order_state, s.slot().order_qty_e2) == (RESTING, 700)  # cut to the position limit
        s.step(HOLD)
        assert s.slot().position_e2 == 1_000

    def test_lives_exactly_its_time(self):
        def filled(print_s):
            bid = ((4_000, 1),)
            books = [book(0, bid), book(print_s, bid, (), (NO, 3_900, DEEP)), book(50, bid), book(60, bid)]
            s = script(*books, style="maker", order_ttl_ms=10_000)
            s.step(BUY_YES)
            return s.slot().position_e2

        assert filled(10.0) == 1_000
        assert filled(10.001) == 0

    def test_ends_by_the_clock_when_another_market_moves_on(self):
        bid = ((4_000, 1),)
        quiet = market(rows_of(book(0, bid), book(100, bid)), "A")
        busy = market(rows_of(*[book(5 * k, bid) for k in range(10)]), "B")
        s = Script(bank_of(quiet, busy), (0, 1), order_style="maker", order_ttl_ms=7_000)
        s.step(BUY_YES, HOLD)
        assert (s.slot().order_state, s.env.reserved_e6 > 0) == (RESTING, True)
        s.step(HOLD, HOLD)  # ten seconds on, without a message of its own market
        assert (s.slot().order_state, s.env.reserved_e6) == (IDLE, 0)

    @pytest.mark.parametrize(("spare_e6", "position_e2"), [(0, 0), (10_000, 1)])
    def test_a_fill_that_rounding_makes_too_dear_is_refused(self, spare_e6, position_e2):
        # A broker customer rests 10 at 0.40: 4.00 and a balance unit of 0.01 are reserved. A fill of 0.01
        # contract costs 0.004, aligned to 0.01, but frees only a thousandth of 4.01 = 0.00401.
        bid = ((4_000, 1),)
        books = [book(0, bid), book(10, bid, (), (NO, 3_900, 1)), book(20, bid), book(30, bid)]
        s = script(*books, style="maker", direct_member=False, capital_e6=4_010_000 + spare_e6)
        s.step(BUY_YES)
        assert s.slot().position_e2 == position_e2
        assert s.env.cash_e6 == 4_010_000 + spare_e6 - 10_000 * position_e2
        assert 0 <= s.env.reserved_e6 <= s.env.cash_e6
        assert (s.slot().order_state == RESTING) == (position_e2 == 1)

    def test_improves_by_ticks_of_the_band_and_never_into_the_ask(self):
        bands = (
            PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
            PriceBand(start_e4=1_000, end_e4=9_000, step_e4=100),
            PriceBand(start_e4=9_000, end_e4=10_000, step_e4=10),
        )
        for bid, ask, expected in (
            (980, 2_000, 1_000),
            (990, 2_000, 1_100),
            (4_000, 4_200, 4_100),
            (500, 510, 500),
        ):
            s = script(
                *[book(10 * k, ((bid, 1),), ((ask, 1),)) for k in range(3)],
                style="maker", improve_ticks=2, spec={"price_ranges": bands},
            )  # fmt: skip
            s.step(BUY_YES)
            assert s.slot().order_price_e4 == expected

    def test_behind_the_levels_that_are_known_the_queue_is_unknown(self):
        five = tuple((4_000 + 100 * k, 10) for k in range(5, 0, -1))
        books = [
            book(0, ((4_000, 10),)),
            book(5, five),
            book(10, five, (), (NO, 4_000, DEEP)),
            book(20, five),
        ]
        s = script(*books, style="maker", latency_ms=7_000)
        s.run(BUY_YES, HOLD)
        assert s.slot().position_e2 == 0


class TestReached:
    """A resting bid of 10 contracts at 0.40 that the asks come to without a print."""

    BID, AWAY = ((4_000, 500),), ((5_000, DEEP),)

    def positions(self, *books, **config):
        """Position after each of ``books``, which follow the row on which the bid was decided."""
        first = book(0, self.BID, self.AWAY)
        s = script(first, *books, book(900), book(999), style="maker", **config)
        found = []
        for action in (BUY_YES, *[HOLD] * (len(books) - 1)):
            s.step(action)
            found.append(int(s.slot().position_e2))
        return found, s

    def test_it_fills_at_its_own_price_up_to_what_is_displayed_there_and_beyond(self):
        asks = ((3_800, 200), (4_000, 150), (4_100, 900))
        found, s = self.positions(book(10, (), asks))
        assert found == [350]
        assert s.slot().cost_e6 == 350 * 4_000  # not at 0.38
        assert (s.slot().n_fills, s.slot().n_reached_fills) == (1, 1)
        assert (s.slot().order_state, s.slot().order_qty_e2) == (RESTING, 650)  # the rest stays
        assert s.slot().fees_e6 == 0  # a maker's, in a series without maker fees

    def test_it_does_not_fill_while_the_ask_stands_above(self):
        assert self.positions(book(10, (), ((4_001, DEEP),)))[0] == [0]

    def test_an_ask_is_reached_by_the_bids_alike(self):
        s = script(
            book(0, ((3_000, 1),), ((6_000, 100),)), book(10, ((6_000, 50), (5_900, 70))), book(20),
            style="maker",
        )  # fmt: skip
        s.step(BUY_NO)
        assert (s.slot().position_e2, s.slot().cost_e6) == (-50, 50 * 4_000)

    def test_what_it_took_stays_taken_while_it_is_displayed(self):
        asks = [((4_000, 300),), ((4_000, 300),), ((4_000, 450),), ((4_000, 200),), ((4_000, 450),)]
        found, _ = self.positions(*[book(10 * k, (), a) for k, a in enumerate(asks, start=1)])
        # 3 fill, nothing more, 1.50 more are displayed, fewer, 2.50 more
        assert found == [300, 300, 450, 450, 700]

    def test_a_price_that_went_and_came_back_fills_again(self):
        asks = [((4_000, 300),), self.AWAY, ((4_000, 300),)]
        assert self.positions(*[book(10 * k, (), a) for k, a in enumerate(asks, 1)])[0] == [300, 300, 600]

    def test_a_taker_and_a_resting_order_do_not_share_the_same_contracts(self):
        s = script(book(0, (), ((4_000, 300),)), book(10, (), ((4_000, 300),)), *still(2))
        s.step(BUY_YES)
        slot = s.slot()
        assert slot.position_e2 == 300
        slot.order_state, slot.order_action, slot.order_price_e4, slot.order_qty_e2 = (
            RESTING,
            BUY_YES,
            4_000,
            500,
        )
        slot.expiry_ns = 1 << 62
        s.step(HOLD)
        assert slot.position_e2 == 300

    def test_it_waits_for_the_end_of_the_burst(self):
        reached = ((4_000, 300),)
        books = [book(10, (), reached, burst_end=0), book(10.001, (), self.AWAY)]
        assert self.positions(*books)[0] == [0, 0]
        books = [book(10, (), self.AWAY, burst_end=0), book(10.001, (), reached)]
        assert self.positions(*books)[0] == [0, 300]

    def test_what_the_burst_printed_to_it_is_taken_from_the_displayed_size(self):
        # a seller of 7 hit our bid at 0.40 through prints of 4 at 0.39, and displays 6 at 0.39
        books = [
            book(10, (), (), (NO, 3_900, 400), burst_end=0),
            book(10.001, (), ((3_900, 600),)),
            book(20, (), ((3_900, 600),)),
        ]
        found, s = self.positions(*books)
        assert found == [400, 600, 600]
        assert (s.slot().n_fills, s.slot().n_reached_fills) == (2, 1)

    def test_an_order_that_replaces_it_amid_the_burst_does_not_meet_the_printed_size_again(self):
        first = book(0, self.BID, self.AWAY)
        printed = book(10, self.BID, self.AWAY, (NO, 3_900, 400), burst_end=0)
        reached = book(10.001, (), ((3_900, 600),))
        s = script(first, printed, reached, book(900), style="maker")
        assert [int(s.slot().position_e2) for a in (BUY_YES, BUY_YES) if s.step(a)] == [400, 600]

    def test_what_printed_to_a_bid_is_no_size_that_an_ask_after_it_could_meet(self):
        first = book(0, self.BID, self.AWAY)
        printed = book(10, self.BID, self.AWAY, (NO, 3_900, 400), burst_end=0)
        reached = book(10.001, ((5_000, 600),), ())
        s = script(first, printed, reached, book(900), style="maker")
        s.step(BUY_YES)
        s.step(SELL_YES)  # an ask of 4 at 0.50, which a bid of 6 comes to
        assert (s.slot().position_e2, s.slot().n_reached_fills) == (0, 1)

    def test_an_order_that_prints_filled_whole_leaves_that_much_less_to_a_taker(self):
        books = [
            book(10, (), (), (NO, 3_900, DEEP), burst_end=0),
            book(10.001, (), ((3_900, 1_200),)),
        ]
        found, s = self.positions(*books)
        assert found == [1_000, 1_000]
        assert s.slot().order_state == IDLE
        assert s.slot().taken_e2[1].tolist().count(1_000) == 1

    def test_a_print_of_an_earlier_burst_is_not_deducted(self):
        books = [book(10, (), (), (NO, 3_900, 400)), book(20, (), ((3_900, 600),))]
        assert self.positions(*books)[0] == [400, 1_000]

    def test_nobody_is_ahead_of_it_any_more(self):
        reached, printed = ((4_000, 10),), (NO, 4_000, 100)
        books = [
            book(10, self.BID, self.AWAY, printed),
            book(20, (), reached),
            book(30, (), reached, printed),
        ]
        assert self.positions(*books)[0] == [0, 10, 110]  # 4 of the 5 ahead were left when the ask came

    def test_on_a_crossed_row_nothing_fills_and_no_queue_advances(self):
        crossed = ((4_100, 5),), ((3_900, 600),)
        books = [
            book(10, *crossed, (NO, 3_800, 100), valid=2),
            book(20, *crossed, (NO, 4_000, 600), valid=2),
            book(30, self.BID, self.AWAY, (NO, 4_000, 500)),
        ]
        found, s = self.positions(*books)
        assert found == [0, 0, 0]
        assert s.slot().queue_e2 == 0

    def test_a_taker_that_arrives_at_a_crossed_book_is_cancelled(self):
        books = [
            book(0, self.BID, self.AWAY),
            book(10, ((5_100, 5),), ((5_000, DEEP),), valid=2),
            *still(4)[2:],
        ]
        s = script(*books, latency_ms=10_000)
        s.run(BUY_YES, HOLD)
        assert (s.slot().position_e2, s.env.reserved_e6) == (0, 0)

    def test_it_is_a_maker_s_fee(self):
        found, s = self.positions(
            book(10, (), ((4_000, 1_000),)), spec={"fee_type": "quadratic_with_maker_fees"}
        )
        assert found == [1_000]
        assert s.slot().fees_e6 == 42_000  # 0.0175 x 10 x 0.24

    def test_where_only_prints_are_known_the_last_print_of_the_other_side_proves_nothing(self):
        books = [book(0, ((4_000, -1),)), book(10, ((4_000, -1),), ((4_000, -1),)), book(20), book(30)]
        s = script(*books, style="maker", provenance="trade_implied")
        s.step(BUY_YES)
        assert s.slot().position_e2 == 0


class TestQuotes:
    def test_a_taker_gets_one_contract_where_sizes_are_unknown(self):
        s = script(*still(asks=((5_000, -1),)), provenance="quotes")
        s.run(BUY_YES, BUY_YES)
        assert s.slot().position_e2 == 100  # the second order meets the same displayed price

    def test_a_maker_fills_one_contract_a_price_when_the_opposite_best_reaches_it(self):
        asks = (4_100, 4_000, 4_000, 3_900)  # not there yet, there, still there, further
        books = [book(0, ((4_000, -1),), ((4_200, -1),))]
        books += [book(10 * k, (), ((ask, -1),)) for k, ask in enumerate(asks, start=1)]
        s = script(*books, book(60), style="maker", provenance="quotes")
        s.step(BUY_YES)
        positions = [int(s.slot().position_e2)]
        for _ in asks[1:]:
            s.step(HOLD)
            positions.append(int(s.slot().position_e2))
        assert positions == [0, 100, 100, 200]

    def test_a_maker_fills_by_a_print_that_was_joined_to_the_quotes(self):
        quoted = ((4_000, -1),), ((4_200, -1),)
        books = [book(0, *quoted), book(10, *quoted, (NO, 3_900, 300)), book(20, *quoted), book(30)]
        s = script(*books, style="maker", provenance="quotes")
        s.step(BUY_YES)
        assert s.slot().position_e2 == 300

    def test_a_size_that_was_quoted_counts(self):
        s = script(*still(asks=((5_000, 700),)), provenance="quotes")
        s.run(BUY_YES, BUY_YES)
        assert s.slot().position_e2 == 700


class TestPrints:
    ASK = ((5_000, -1),)

    def test_a_taker_waits_for_the_next_print_of_its_own_side_within_the_limit(self):
        books = [
            book(0, (), self.ASK),
            book(10, (), self.ASK, (NO, 5_000, 500)),  # the other taker side proves nothing
            book(20, (), self.ASK, (YES, 5_200, 500)),  # worse than the limit of 0.51
            book(30, (), self.ASK, (YES, 4_900, 400)),
            book(40, (), self.ASK, (YES, 4_900, 400)),
            book(50, (), self.ASK),
        ]
        s = script(*books, provenance="trade_implied")
        s.run(BUY_YES, HOLD)
        assert (s.slot().order_state, s.slot().position_e2) == (SEEKING, 0)
        assert s.mask() == [1, 0, 0, 0, 0]
        s.run(HOLD, HOLD)
        assert (s.slot().position_e2, s.slot().cost_e6) == (400, 400 * 4_900)  # once, up to the print's size

    def test_a_taker_gives_up_when_its_time_is_over(self):
        books = [book(0, (), self.ASK), book(61, (), self.ASK, (YES, 5_000, 500)), book(70), book(80)]
        s = script(*books, provenance="trade_implied", order_ttl_ms=60_000)
        s.step(BUY_YES)
        assert (s.slot().position_e2, s.env.reserved_e6) == (0, 0)

    def test_a_maker_needs_a_print_strictly_through_its_price(self):
        bid = ((4_000, -1),)
        books = [
            book(0, bid),
            book(10, bid, (), (NO, 4_000, 900)),
            book(20, bid, (), (NO, 3_990, 900)),
            book(30, bid),
        ]
        s = script(*books, style="maker", provenance="trade_implied")
        s.step(BUY_YES)
        assert s.slot().position_e2 == 0
        s.step(HOLD)
        assert s.slot().position_e2 == 900
