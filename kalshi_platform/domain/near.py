"""The nearest names to a wrong one, with their meaning: what a refusal says instead of the whole list.

Near   the same letters but for a few (``difflib``), a part of the name (``rate``), or the beginnings of its
       parts in short (``lr`` and ``learn_r`` for ``learning_rate``).
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

#: Likeness (0 to 1, of ``difflib``) from which a name counts as near.
_LIKE: Final = 0.6
#: A name that is so much less like than the nearest is not shown beside it.
_APART: Final = 0.2
#: So few names are shown with their meaning where none is near; more are only named.
_ALL: Final = 8
#: Characters of a list of names in a message.
_MOST_CHARS: Final = 250
#: Characters of a wrong name that are compared: patterns and likeness of megabytes take minutes.
_LONGEST: Final = 200


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The ``most`` names of ``known`` nearest to ``name``, the nearest first; empty where none is near.

    Dotted names are compared by their last part too: ``learning_rate`` finds ``train.learning_rate``.
    """
    scored = sorted((-_likeness(name, other), other) for other in known)
    return [other for score, other in scored if -score >= _LIKE and score - scored[0][0] <= _APART][:most]


def did_you_mean(name: str, meanings: Mapping[str, str], most: int = 3) -> str:
    """Sentence with the nearest names of ``meanings`` and the meaning of each; all names where few."""
    found = nearest(name, meanings, most)
    if not found and len(meanings) > _ALL:
        return f"no name is near it; there are {_as_many_as_fit(list(meanings))}"
    words = "did you mean" if found else "there are"
    told = (f"{other} ({meanings[other]})" if meanings[other] else other for other in found or meanings)
    return f"{words} {', '.join(told)}{'?' if found else ''}"


def _as_many_as_fit(names: list[str]) -> str:
    """``names`` in order, as many as a message holds, and how many there are."""
    kept: list[str] = []
    left = _MOST_CHARS
    for name in names:
        left -= len(name) + 2
        if left < 0:
            return f"{', '.join(kept)}, ... ({len(names)} in all)"
        kept.append(name)
    return ", ".join(kept)


def _likeness(asked: str, known: str) -> float:
    """Likeness of two names, 0 to 1: of their last parts, a little less where the sections differ."""
    asked, known = asked[:_LONGEST].lower().replace("-", "_"), known.lower().replace("-", "_")
    section, _, last = asked.rpartition(".")
    home, _, end = known.rpartition(".")
    other_section = 0.05 if section and section != home else 0.0
    return _likeness_of_parts(last, end) - other_section


def _likeness_of_parts(asked: str, known: str) -> float:
    """Likeness of two names without sections."""
    if not asked:
        return 0.0
    if asked == known:
        return 1.0
    if _shortens(asked, known):
        return 0.95
    if len(asked) >= 3 and asked in known:
        return 0.8
    words = [word for word in asked.split("_") if len(word) >= 3]
    shared = [word for word in words if word in known.split("_")]
    return max(difflib.SequenceMatcher(None, asked, known).ratio(), 0.7 if shared else 0.0)


def _shortens(asked: str, known: str) -> bool:
    """True where ``asked`` is made of the beginnings of the parts of ``known``, in order: lr, ent_coef."""
    parts = known.split("_")
    if len(parts) < 2:
        return False
    pattern = "_?".join(_beginning(part) for part in parts)
    return re.fullmatch(pattern, asked) is not None


def _beginning(word: str) -> str:
    """Pattern of a beginning of ``word``, of one letter or more."""
    pattern = ""
    for letter in reversed(word[1:]):
        pattern = f"(?:{re.escape(letter)}{pattern})?"
    return re.escape(word[0]) + pattern
