"""The words that pages explain."""

from kalshi_platform.evaluation.pages.contents import slug
from kalshi_platform.evaluation.pages.glossary import WORDS


def test_no_two_words_share_an_anchor_and_every_meaning_is_a_sentence():
    assert len({slug(word) for word in WORDS}) == len(WORDS)
    assert all(
        (meaning.endswith(".") and meaning[0].isupper()) or meaning[0] == "1" for meaning in WORDS.values()
    )
