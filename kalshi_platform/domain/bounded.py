"""Text of others in bounds: values, messages and names of counters never grow with what a stranger sends.

Why      a recording, a body or a frame may hold a text of fifty megabytes where a word is expected. A refusal
         that repeats it floods a log, and a counter named by it makes a manifest as large.
Units    characters.
Not      refusing: who calls decides that; a bounded text still names the value by its beginning.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from kalshi_platform.domain.hidden_user import beginning_without_users

#: Longest message of a command, note of a manifest or detail of a refused frame.
MAX_MESSAGE: Final = 500
#: Longest value of others within a message.
MAX_VALUE: Final = 60
#: Longest part of a counter's name that a file or a frame chose.
MAX_NAME: Final = 48
#: Different names of one kind that a manifest keeps; further ones are counted together.
MAX_NAMES: Final = 100
#: Name under which further names of a kind are counted.
OTHERS: Final = "(others)"
#: Beginning of a text in which addresses are looked for; no more of it is shown.
_READ: Final = 512
#: A message keeps its beginning (file, row, value) and its end (the remedy).
_TAIL: Final = 150


def shown_value(value: Any, chars: int = MAX_VALUE) -> str:
    """``value`` as a message shows it, ``chars`` at most: text in quotes, else as Python writes it.

    Users and passwords of addresses in a text are hidden before it is cut.
    """
    is_whole = True
    if isinstance(value, str):
        is_whole = len(value) <= max(_READ, chars)
        value = beginning_without_users(value, max(_READ, chars))
    if isinstance(value, str | bytes):
        text = repr(value[:chars])  # without surrogates, which no terminal takes
        if is_whole and len(value) <= chars and len(text) <= 2 * chars:
            return text
        return f"{text[:-1][:chars]}..."
    try:
        text = str(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"({type(value).__name__} of too many digits to be shown)"
    return text if len(text) <= chars else f"{text[:chars]}..."


def bounded_message(text: str, chars: int = MAX_MESSAGE) -> str:
    """``text`` in at most ``chars`` (60 or more) characters; a longer one lacks its middle, and says so."""
    if len(text) <= chars:
        return text
    gap = f" ... ({len(text) - chars} characters and more left out) ... "
    tail = min(_TAIL, (chars - len(gap)) // 3)
    return f"{text[: chars - tail - len(gap)]}{gap}{text[len(text) - tail :]}"


def counter_name(kind: str, name: Any) -> str:
    """Name of a counter of ``kind`` for what a stranger named: one line, MAX_NAME characters of it."""
    text = name if isinstance(name, str) else shown_value(name)
    cut = text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}..."
    plain = cut if cut.isprintable() else ascii(cut)[1:-1][: 2 * MAX_NAME]
    return f"{kind}:{plain}"


def bounded_counts(counts: Mapping[str, int]) -> Counter[str]:
    """``counts`` with at most MAX_NAMES names of a kind, which is the part before the first ``:``.

    The names beyond are summed under OTHERS. The largest stay; among equal ones those first in order of name.
    Sums over a kind stay what they were.
    """
    kinds: dict[str, list[str]] = {}
    for name in counts:
        kinds.setdefault(name.partition(":")[0], []).append(name)
    kept: Counter[str] = Counter()
    for kind, names in kinds.items():
        others = f"{kind}:{OTHERS}"
        ranked = sorted((name for name in names if name != others), key=lambda name: (-counts[name], name))
        kept.update({name: counts[name] for name in ranked[:MAX_NAMES]})
        rest = sum(counts[name] for name in ranked[MAX_NAMES:]) + counts.get(others, 0)
        if rest:
            kept[others] += rest
    return kept
