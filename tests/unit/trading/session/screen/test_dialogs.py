"""Dialogs: what closes them, and that ``h`` halts through them."""

import pytest
from made.session_view import on_screen, until_drawn

from kalshi_platform.trading.session.screen.dialogs import HELP, HelpDialog, ReasonDialog, YesNoDialog
from kalshi_platform.trading.session.screen.screen_app import SessionApp


def test_help_names_every_key_that_does_something_and_fits_a_small_terminal():
    keys = {key.key.split(",")[0] for key in SessionApp.BINDINGS if key.show}
    told = {line[0] for line in HELP.split("\n") if line[1:3] == "  "}
    assert keys - {"question_mark"} == told - {" "}

    async def work(app, pilot):
        await pilot.press("question_mark")
        await until_drawn(app, pilot, *(line for line in HELP.split("\n") if line))
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpDialog)

    on_screen(work)


@pytest.mark.parametrize("key", ["question_mark", "q"])
def test_h_halts_through_help_and_question(key):
    async def work(app, pilot):
        await pilot.press(key, "h")

    assert [wish.what for wish in on_screen(work)] == ["halt"]


def test_a_reason_may_hold_every_letter_that_is_a_key_elsewhere():
    async def work(app, pilot):
        await pilot.press("a", *"hq[x]", "enter")
        assert not isinstance(app.screen, ReasonDialog)

    assert [(wish.what, wish.text) for wish in on_screen(work)] == [("resume", "hq[x]")]


@pytest.mark.parametrize("keys", [["escape"], ["enter"], ["space", "enter"]])
def test_without_a_reason_nothing_is_resumed(keys):
    async def work(app, pilot):
        await pilot.press("a", *keys)

    assert on_screen(work) == []


@pytest.mark.parametrize("key", ["n", "escape", "q"])
def test_whoever_does_not_say_yes_does_not_quit(key):
    async def work(app, pilot):
        await pilot.press("q")
        assert isinstance(app.screen, YesNoDialog)
        await pilot.press(key)
        assert not isinstance(app.screen, YesNoDialog)

    assert on_screen(work) == []
