"""The whole screen: each key, each panel, each size, and what nobody would wish to see."""

import asyncio
import random
import re

import pytest
from made.session_snapshot import NOW_NS, SECOND_NS, made_market, made_snapshot
from made.session_view import drawn, on_screen, until_drawn

from kalshi_platform.trading.session.screen.market_list import MarketList
from kalshi_platform.trading.session.screen.panels import PANELS
from kalshi_platform.trading.session.screen.screen_app import SessionApp


@pytest.mark.parametrize(
    ("keys", "wishes"),
    [
        ("h", [("halt", "key h on the terminal")]),
        ("H", [("halt", "key h on the terminal")]),
        ("r", [("reduce", "key r on the terminal")]),
        ("x", [("cancel all", "key x on the terminal")]),
        ("c", [("cancel", "0/0/1")]),
        ("qy", [("quit", "ended at the terminal")]),
        (["ctrl+c"], [("quit", "ended at the terminal")]),
        (["ctrl+q"], [("quit", "ended at the terminal")]),
        (["ctrl+c", "ctrl+c"], [("quit", "ended at the terminal")]),
        (["a", "ctrl+c"], [("quit", "ended at the terminal")]),
        (["down", "c"], []),  # no order works there
        (["ctrl+z", "ctrl+p", "z", "left", "tab", "p", "p"], []),
    ],
)
def test_each_key_asks_for_one_thing(keys, wishes):
    async def work(app, pilot):
        await pilot.press(*keys)

    assert [(wish.what, wish.text) for wish in on_screen(work)] == wishes


@pytest.mark.parametrize("name", [name for name, _ in PANELS])
def test_each_panel_comes_by_its_number_on_a_small_terminal(name):
    number = [each for each, _ in PANELS].index(name) + 1

    async def work(app, pilot):
        await pilot.press(str(number))
        await until_drawn(app, pilot, f"[{number} {name}")
        assert [each for each, _ in PANELS if app.query_one(f"#{each}").display] == [name]
        assert app.query_one(f"#{name}").text.size.height > 0

    on_screen(work)


def test_a_large_terminal_shows_all_panels_and_a_small_one_again_one():
    async def work(app, pilot):
        names = [f"{number} {name}" for number, (name, _) in enumerate(PANELS, 1)]
        await until_drawn(app, pilot, *names, "OUTCOME UNKNOWN", "BUY_YES 10 @ 0.41 YES", "losing_streak",
                          "latency, ms", "disk:")  # fmt: skip
        await pilot.resize_terminal(80, 24)
        shown = await until_drawn(app, pilot, "[1 book]")
        assert "OUTCOME UNKNOWN" not in "\n".join(shown)

    on_screen(work, size=(160, 50))


def test_a_pause_holds_the_panels_and_not_the_header():
    async def work(app, pilot):
        await pilot.press("p")
        app.take(made_snapshot(markets=(), state="halted", state_why="the day's loss"))
        await until_drawn(app, pilot, "HALTED  the day's loss", "PANELS PAUSED", "0.4525")
        await pilot.press("p")
        shown = await until_drawn(app, pilot, "no market yet")
        assert "0.4525" not in "\n".join(shown)

    on_screen(work)


def test_a_refusal_is_told_and_a_wish_without_an_answer_names_other_ways():
    async def work(app, pilot):
        await pilot.press("h")
        app.answered(1, "[b]no[/b]", "")
        await until_drawn(app, pilot, "halt: [b]no[/b]")
        await pilot.press("r")
        app._wall_ns = lambda: NOW_NS + 5 * SECOND_NS
        await until_drawn(app, pilot, "reduce is not answered: make a file the session's folder/HALT")
        app.answered(99, "", "x")  # of nothing that was asked
        await pilot.press("x")
        app.answered(3, "", "no order works: nothing to cancel")
        await until_drawn(app, pilot, "cancel all: no order works")

    on_screen(work)


def test_the_end_is_told_until_it_comes():
    async def work(app, pilot):
        await pilot.press("ctrl+c")
        await until_drawn(app, pilot, "ENDING: orders are being cancelled")

    on_screen(work)


def test_a_session_that_is_silent_is_said_to_be_silent():
    async def work(app, pilot):
        assert "NO NEWS FROM THE SESSION FOR 60 s" in "\n".join(drawn(app))

    on_screen(work, behind_ns=60 * SECOND_NS)


def test_before_the_first_snapshot_every_key_works():
    wishes = []

    async def run():
        app = SessionApp(wishes.append)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("h", "c", "1", "8", "down", "p", "p", "question_mark", "escape")
            assert "waiting for the session" in "\n".join(drawn(app))

    asyncio.run(run())
    assert [wish.what for wish in wishes] == ["halt"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (3, 2)])
def test_markup_controls_and_missing_values_are_only_shown(size):
    odd = "[red]x[/]\x1b[2J\n気[/b] " * 10
    markets = tuple(
        made_market(
            n, ticker=f"{n:03}{odd}", order=odd, bid_e4=None, ask_e4=None, value_e6=None, bids=(), asks=()
        )
        for n in range(500 if size[0] > 3 else 20)
    )
    snapshot = made_snapshot(
        markets=markets, model=odd, cautions=(odd,), state=odd, state_why=odd, problems={odd: odd},
        log=(odd,) * 50,
        health={}, latency={"stages": {"decision": {"n": 0}}}, risk={"used": [], "undecided": [odd]},
        last_fills=({**made_snapshot().last_fills[0], "ticker": odd, "yes_price_e4": None},),
    )  # fmt: skip

    async def work(app, pilot):
        await pilot.press(*"12345678")
        await pilot.pause()
        assert "\x1b" not in "\n".join(drawn(app))

    on_screen(work, snapshot, size=size)


def test_a_storm_of_sizes_and_snapshots_ends_in_a_whole_screen():
    random_size, snapshots = random.Random(1), [made_snapshot(n, equity_e6=n * 10**6) for n in (0, 3, 500, 1)]

    async def work(app, pilot):
        for n in range(12):
            await pilot.resize_terminal(random_size.randint(2, 200), random_size.randint(2, 60))
            app.take(snapshots[n % 4])
        await pilot.resize_terminal(80, 24)
        shown = await until_drawn(app, pilot, "? help", "[1 book]")
        assert "ACTIVE" in shown[2]
        assert "h halt" in shown[-1]
        assert app.query_one(MarketList).size.height > 3

    on_screen(work)


def test_no_colour_leaves_every_word(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def work(app, pilot):
        shown = "\n".join(drawn(app))
        assert "HALTED  a reason" in shown
        assert "SIMULATED EXCHANGE, SIMULATED MONEY" in shown
        colours = set(re.findall(r"fill(?:=\"|: )#(\w{6})", app.export_screenshot(simplify=True)))
        grey = {c for c in colours if c[:2] == c[2:4] == c[4:]}
        assert colours - grey <= {"c5c8c6", "ff5f57", "febc2e", "28c840"}  # the picture's own frame

    on_screen(work, made_snapshot(state="halted", state_why="a reason"))
