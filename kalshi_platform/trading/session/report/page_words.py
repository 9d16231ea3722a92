"""Words of a report's page for counts whose names only the code knows."""

from collections.abc import Mapping
from typing import Final

#: Counts of the books (``serving/live/own_orders.py``) and of the replay's account, in words.
COUNT_WORDS: Final = {
    "others": "a level with an order of ours shrank: others' size, no report said that it was ours",
    "own_told": "a level shrank: ours, as a report had said",
    "own_inferred": "a level shrank: ours, since others had not as much there",
    "put_back": "size taken for others' that a later report said was ours",
    "rows_of_ours": "messages about our orders alone, which no book shows",
    "rows_changed": "messages about ours and others', of which books show the others' part",
    "not_in_snapshot": "a snapshot had less at a price than should rest there of ours",
    "told_by_rest": "only REST told that an order of ours was gone",
    "unreadable_reports": "reports that could not be read",
    "frames": "frames of the stream",
    "decisions": "decisions, one for each group of markets",
    "forbidden": "actions that the replay's account did not allow",
    "played_again": "times that a burst of messages went on and the account was played again from before",
    "bursts_assumed": "times that a burst of messages was taken for over",
}


def in_words(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by their words; a name without words loses its underscores."""
    return {COUNT_WORDS.get(name, name.replace("_", " ")): n for name, n in sorted(counts.items())}
