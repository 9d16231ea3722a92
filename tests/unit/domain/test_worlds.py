"""Names of simulated worlds: what is no name, or not known, is said to be so."""

import pytest

from kalshi_platform.domain.worlds import UNNAMED, WORLDS, world_name, world_words, worlds_words


@pytest.mark.parametrize("text", [None, "", "Calibrated", "a b", "<b>", "x" * 41, "9lives", "a\nb"])
def test_what_is_no_name_is_an_unnamed_world(text):
    assert world_name(text) == UNNAMED


@pytest.mark.parametrize("name", WORLDS)
def test_every_name_is_read_as_itself_and_has_words(name):
    assert world_name(name) == name
    assert WORLDS[name] in world_words(name)


def test_an_unknown_name_and_no_name_at_all_are_said_to_be_so():
    assert world_words("moon") == "the world moon (this program does not know its content)"
    assert worlds_words(()) == world_words(UNNAMED)
    assert worlds_words(("martingale", "moon")).count("the world ") == 2
