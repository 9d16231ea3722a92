"""The list of sections and the words of a page."""

from kalshi_platform.evaluation.pages.contents import Contents
from kalshi_platform.evaluation.pages.glossary import WORDS


def test_every_section_has_an_anchor_of_its_own():
    contents = Contents()
    assert [contents.add(title) for title in ("Fee ladder", "Fee ladder", "The winner's report", "§")] == [
        "fee-ladder", "fee-ladder-2", "the-winner-s-report", "section",
    ]  # fmt: skip
    assert [section.title for section in contents.sections][:2] == ["Fee ladder", "Fee ladder"]


def test_a_known_word_is_linked_to_its_meaning_and_another_one_is_only_escaped():
    contents = Contents()
    assert contents.word("a<b") == "a&lt;b"
    assert contents.words == {}
    linked = contents.word("ECE")
    assert 'href="#word-ece"' in linked
    assert contents.words == {"ECE": WORDS["ECE"]}


def test_a_word_that_is_part_of_a_text_is_explained_without_a_link():
    contents = Contents()
    assert contents.mention("books_ended:crossed") == ""
    assert contents.mention("anything else") == ""
    assert contents.words == {"books_ended:crossed": WORDS["books_ended"]}
