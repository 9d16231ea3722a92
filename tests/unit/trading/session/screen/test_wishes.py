"""Messages between session and screen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.session_snapshot import made_snapshot

from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.trading.session.screen import wishes
from kalshi_platform.trading.session.screen.wishes import ACTS, Wish, grant


class Acts:
    """Notes what is done; refuses to resume."""

    def __init__(self):
        self.done = []

    def halt(self, why):
        self.done.append(("halt", why))
        return "trading is halted"

    def reduce(self, why):
        self.done.append(("reduce", why))
        return "trading is reducing"

    def resume(self, why):
        raise LimitError(f"trading stays HALTED: not for {why}")

    def cancel_order(self, name, why):
        self.done.append(("cancel", name))
        return "the order is being cancelled"

    def cancel_all(self, why):
        self.done.append(("cancel all", why))
        return "no order works"


def test_each_wish_is_one_call_and_a_refusal_comes_back_in_words():
    acts = Acts()
    answers = {what: grant(acts, Wish(1, what, "x")) for what in ACTS}
    assert acts.done == [("halt", "x"), ("reduce", "x"), ("cancel", "x"), ("cancel all", "x")]
    assert answers.pop("resume") == ("trading stays HALTED: not for x", "")
    assert answers.pop("cancel all") == ("", "no order works")
    assert {refusal for refusal, _ in answers.values()} == {""}


def test_wishes_and_snapshots_come_back_as_they_were_sent():
    wish = Wish(7, "resume", "why\nnot [red]")
    assert wishes.wish_in(wishes.wish_line(wish)) == wish
    snapshot = made_snapshot()
    line = wishes.snapshot_line(json_text(snapshot.as_json()))
    assert line.count(b"\n") == 1
    told = wishes.told_in(line)["snapshot"]
    assert told.as_json() == {**snapshot.as_json(), "last_fills": [*snapshot.last_fills]} | {
        "markets": told.as_json()["markets"], "last_fills": [*snapshot.last_fills],
    }  # fmt: skip
    assert [m.ticker for m in told.markets] == [m.ticker for m in snapshot.markets]
    answer = {"answer": 3, "refusal": "no", "said": ""}
    assert wishes.told_in(wishes.answer_line(3, "no", "")) == answer
    assert wishes.told_in(wishes.end_line("over")) == {"end": "over"}


def test_a_long_reason_is_cut():
    assert len(wishes.wish_in(wishes.wish_line(Wish(1, "halt", "x" * 5_000))).text) == 300


@settings(max_examples=50)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_line_of_a_screen_is_more_than_refused(line):
    with pytest.raises(DataError):
        wishes.wish_in(line)


@pytest.mark.parametrize(
    "line", [b"[]", b'{"number": 1, "what": "sell all", "text": ""}', b'{"what": "halt"}', b"[" * 9_000]
)
def test_an_unknown_wish_is_refused(line):
    with pytest.raises(DataError, match="screen"):
        wishes.wish_in(line)
