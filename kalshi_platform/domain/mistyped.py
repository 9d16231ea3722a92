"""Words of a refusal about a mistyped name: what it resembles, or what there is."""

from collections.abc import Iterable

from kalshi_platform.domain.near import nearest


def meant(name: str, known: Iterable[str]) -> str:
    """``"; did you mean train?"`` for ``trian``; empty where no known name resembles ``name``.

    The dashes before an option count for nothing.
    """
    by_word = {each.strip("-"): each for each in known}
    found = [by_word[word] for word in nearest(name.strip("-"), by_word, most=2)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def refused_choice(option: str, value: str, known: Iterable[str]) -> str:
    """Message that refuses ``value`` of ``option``: the values allowed, and the one it resembles."""
    choices = list(known)
    return f"{option} {value!r} is none of {', '.join(choices)}{meant(value, choices)}"
