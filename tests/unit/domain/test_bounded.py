"""Bounds of values, messages and counter names."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.bounded import (
    MAX_MESSAGE,
    MAX_NAMES,
    bounded_counts,
    bounded_message,
    counter_name,
    shown_value,
)

ANYTHING = st.one_of(
    st.text(max_size=2_000), st.integers(), st.binary(max_size=500), st.lists(st.integers()), st.floats()
)


@given(ANYTHING)
def test_a_shown_value_is_short_and_can_be_printed_anywhere(value):
    text = shown_value(value)
    assert len(text) <= 130
    text.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("no", "'no'"),
        (17, "17"),
        (True, "True"),
        ("x" * 61, f"'{'x' * 59}..."),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_a_value_is_shown_as_python_writes_it_up_to_sixty_characters(value, text):
    assert shown_value(value) == text


def test_an_integer_of_more_digits_than_python_writes_is_named():
    assert shown_value(10**5_000) == "(int of too many digits to be shown)"


@given(st.text(max_size=3_000))
def test_a_message_keeps_its_beginning_and_its_end_within_the_bound(text):
    short = bounded_message(text)
    assert len(short) <= MAX_MESSAGE
    assert short == text or (short[:200] == text[:200] and short[-150:] == text[-150:])


@given(st.one_of(st.text(max_size=500), st.none(), st.integers()))
def test_a_counter_has_a_name_of_one_short_line(name):
    found = counter_name("kind", name)
    assert found.startswith("kind:")
    assert len(found) < 150
    assert found.isprintable()


@given(st.dictionaries(st.integers(0, 400).map(lambda n: f"{'ab'[n % 2]}:{n}"), st.integers(1, 50)))
def test_bounded_counts_keep_the_sum_of_each_kind_and_its_largest_names(counts):
    found = bounded_counts(counts)
    for kind in "ab":
        mine = Counter({name: n for name, n in counts.items() if name.startswith(f"{kind}:")})
        kept = Counter({name: n for name, n in found.items() if name.startswith(f"{kind}:")})
        assert kept.total() == mine.total()
        assert len(kept) <= MAX_NAMES + 1
        if len(mine) <= MAX_NAMES:
            assert kept == mine


def test_counts_that_were_bounded_before_can_be_added_and_bounded_again():
    first = bounded_counts({f"k:{n:03}": 1 for n in range(150)})
    again = bounded_counts(first + first)
    assert again["k:(others)"] == 100
    assert again.total() == 300


def test_a_password_in_a_shown_address_is_hidden_before_the_text_is_cut():
    assert shown_value("http://me:" + "sesame" * 20 + "@host:1/x") == "'http://...@host:1/x'"
    for hostile in ("://:" * 200_000, "@" + "://a:" * 200_000, "://" + ":" * 1_000_000):
        assert len(shown_value(hostile)) <= 64


@pytest.mark.parametrize(
    "address",
    [
        "redis://me:" + "sesame" * 100 + "@host:6379",
        "redis://me:123/" + "sesame" * 100 + "@host:6379",
        "https://" + "sesame" * 100 + "@host",
        "redis:/me:" + "sesame" * 100 + "@host:6379",
    ],
)
def test_a_password_longer_than_what_is_searched_is_hidden_from_its_scheme_on(address):
    shown = shown_value(f"at {address}", 200)
    assert shown.startswith("'at " + address.partition("/")[0])
    assert "sesame" not in shown


def test_no_more_of_a_text_is_shown_than_was_searched():
    text = "redis://me:" + "sesame" * 80 + "@host redis://me:open-sesame@host and more"
    assert shown_value(text, 200) == "'redis://...@host redis://..."
    assert shown_value("http://me@host:80/models/" + "x" * 600).startswith("'http://...@host:80/models/xxx")
