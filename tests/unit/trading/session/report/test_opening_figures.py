"""Account at the start of a session as its report tells it."""

from types import SimpleNamespace

from kalshi_platform.trading.session.opening_positions import OpeningPosition, OpeningPositions
from kalshi_platform.trading.session.report.opening_figures import OpeningFigures, opening_of


def figures(opening: OpeningPositions | None, slots=("A", "B"), ended=None) -> OpeningFigures:
    book = SimpleNamespace(began_with=opening, groups=dict.fromkeys(slots, 0))
    return opening_of(SimpleNamespace(book=book, ended=ended))


def opened() -> OpeningPositions:
    """10.00 $, 5.00 YES of A at 0.30, 2.00 NO of B where one YES is 0.90; A's first bid is 0.40."""
    held = {"B": OpeningPosition(-200, 9_000, 20, 1), "A": OpeningPosition(500, 3_000, 50, 1)}
    account = OpeningPositions(10_000_000, held)
    account.see("A", 4_000, 5_500)
    return account


def test_positions_their_prices_and_where_they_are_from():
    found = figures(opened(), slots=("A",))
    assert [tuple(m.model_dump().values()) for m in found.markets] == [
        ("A", 500, 4_000, 2_000_000, True, True),
        ("B", -200, 9_000, 200_000, False, False),
    ]
    assert (found.cash_e6, found.capital_e6) == (10_000_000, 12_200_000)
    rule, unseen, left_out = found.lines(True)
    assert rule == (
        "the account began with 10.0000 $ in cash and 2 positions worth 2.2000 $: the result counts each "
        "from its price in the session's first book (best bid of YES, best ask of NO), not from what it cost"
    )
    assert unseen == "no book gave these a price, they count at the journal's: B"
    assert left_out == "these had no slot in the session, the replay left them out: B"


def test_the_rule_of_the_replays_own_account_is_named_where_the_session_was_killed():
    assert "(the middle, as the replay marks them)" in figures(opened()).lines(False)[0]


def test_a_flat_account_says_so_and_an_old_recording_that_nobody_knows():
    assert figures(OpeningPositions(10_000_000, {})).lines(True) == [
        "the account began flat, with 10.0000 $ in cash"
    ]
    unknown = figures(None)
    assert not unknown.is_known
    (words,) = unknown.lines(True)
    assert words.startswith("it is not known whether the account began flat")


def test_another_capital_in_the_sessions_own_figures_is_told():
    assert figures(opened(), ended={"capital_e6": 12_200_000}).other_capital_e6 is None
    found = figures(opened(), ended={"capital_e6": 12_200_001})
    assert found.other_capital_e6 == 12_200_001
    assert "12.200001 $, its recording says 12.200000 $: do not trust" in found.lines(True)[-1]


def test_many_markets_are_counted_not_listed():
    account = OpeningPositions(0, {"T" * 60 + str(n): OpeningPosition(1, 1, 1, 1) for n in range(9)})
    lines = figures(account, slots=()).lines(True)
    assert lines[1].endswith(" and 6 more")
    assert max(map(len, lines)) < 500
