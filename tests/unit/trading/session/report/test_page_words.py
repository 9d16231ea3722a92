"""Counts on the page of a report: in words, none lost."""

from kalshi_platform.trading.session.report.page_words import COUNT_WORDS, in_words


def test_counts_are_told_in_words_and_unknown_ones_by_their_name():
    found = in_words({"played_again": 3, "frames_after_payment": 2})
    assert found == {"frames after payment": 2, COUNT_WORDS["played_again"]: 3}


def test_no_two_counts_have_the_same_words():
    assert len(set(COUNT_WORDS.values())) == len(COUNT_WORDS)
    assert len(in_words(dict.fromkeys(COUNT_WORDS, 1))) == len(COUNT_WORDS)
