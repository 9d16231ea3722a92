"""The head of a page: facts, the time and the program, the mark of simulated data."""

import pytest

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.evaluation.pages.head import PageHead, of_path

MADE = Stamp(at="2026-11-29T03:04:05+00:00", version="1.2", commit="c0ffee")


def test_the_head_shows_the_facts_that_are_known_then_when_and_by_which_program():
    head = PageHead("Kind", "name", "data", {"run": "r", "level": ""}, MADE)
    assert head.shown == [
        ("run", "r"),
        ("made", "2026-11-29 03:04 UTC"),
        ("program", "kalshi-platform 1.2, commit c0ffee"),
    ]


def test_a_page_of_which_nobody_knows_when_it_was_made_says_so():
    assert PageHead("Kind", "name", "data").shown == [("made", "unknown")]
    assert PageHead("Kind", "name", "data", {"started": "now"}).shown == [("started", "now")]


@pytest.mark.parametrize(
    ("data", "marked"),
    [("3 events in 3 blocks recorded", False), ("9 events in 9 blocks simulated", True), ("unknown", True)],
)
def test_simulated_and_unknown_data_is_marked(data, marked):
    assert PageHead("Kind", "name", data).is_simulated == marked


def test_a_path_is_known_by_its_last_two_parts():
    assert of_path("/a/b/runs-1/seed-0/") == "runs-1/seed-0"
    assert of_path("s3://bucket/prefix/data") == "prefix/data"
    assert of_path("alone") == "alone"
    assert of_path("") == ""
