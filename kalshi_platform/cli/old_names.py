"""Old spellings of options: each works for one release, warns once on stderr, and stands in no help.

Owns    the one table of old spellings, and the rewriting of a command line before it is parsed.
Not     the options themselves: a command declares the present names only. A release empties the table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

#: command -> old spelling -> the present one. "RUN" without dashes was the command's only positional
#: argument; "" means that the option is needless: it was a switch for what always happens now.
OLD_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "quickstart": {"--data": "--input"},
    "simulate": {"--preset": "--exchange"},
    "progressive": {"--steps-per-level": "--steps"},
    "evaluate": {"--checkpoint": "--run", "--seeds": "--evaluation-seeds"},
    "models register": {"RUN": "--run"},
    "serve": {"--local": "", "--tier3": "--tier-3", "--tier3-inside": "--tier-3-inside"},
}


class Word(NamedTuple):
    """One word of a command line, and its part in it."""

    text: str
    kind: str  # "option", "value" of the option before it, or "argument"

    @property
    def name(self) -> str:
        """Name of an option, without the value behind an equals sign."""
        return self.text.partition("=")[0]


def words_of(arguments: Sequence[str], parameters: Sequence[Any]) -> Iterator[Word]:
    """Words of a command line in order; ``parameters`` are the command's, as typer makes them.

    The value of an option of another name than ``parameters`` tell is taken for an argument.
    """
    takes_value = {
        name: not parameter.is_flag
        for parameter in parameters
        if parameter.param_type_name == "option"
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    left = iter(arguments)
    for text in left:
        if text == "--":
            yield from (Word(each, "argument") for each in (text, *left))
        elif not text.startswith("-") or text == "-":
            yield Word(text, "argument")
        else:
            yield Word(text, "option")
            if takes_value.get(text) and (value := next(left, None)) is not None:
                yield Word(value, "value")


class Renamed(NamedTuple):
    """A command line in the present names, and the old names that stood in it, in order."""

    arguments: list[str]
    old: list[str]
    both: tuple[str, str] | None  # an old name and the present one, where both were given


def renamed(words: Sequence[Word], names: Mapping[str, str]) -> Renamed:
    """Rewrite ``words`` with the present names; ``names`` is a command's part of OLD_NAMES."""
    arguments: list[str] = []
    old: list[str] = []
    given = {word.name for word in words if word.kind == "option"}
    positional = next((name for name in names if not name.startswith("-")), None)
    for word in words:
        if word.kind == "option" and word.name in names:
            old.append(word.name)
            if names[word.name]:
                arguments.append(names[word.name] + word.text.removeprefix(word.name))
        elif word.kind == "argument" and positional is not None and word.text != "--":
            old.append(positional)
            arguments += [names[positional], word.text]
        else:
            arguments.append(word.text)
    both = next(((name, names[name]) for name in old if names[name] in given), None)
    return Renamed(arguments, list(dict.fromkeys(old)), both)


def warning(old: str, new: str) -> str:
    """Line that tells a user of the old name which one to write from now on."""
    if not new:
        return f"{old} is needless now: leave it out; the option goes with the next release"
    if not old.startswith("-"):
        return f"write {new} before {old}; without it the command ends with the next release"
    return f"{old} is now {new}; the old name goes with the next release"
