"""How every command of this program reads its words: plain help, old names, advice for mistyped ones.

Owns       CommandApp, the ``typer.Typer`` of every module of this package.
Invariant  help is plain text that names every option whole: boxes cut long names at 80 columns.
Not        the list of commands (main.py), nor errors of the work itself (refusal.py).
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from kalshi_platform.cli.given import refuse_before
from kalshi_platform.cli.old_names import OLD_NAMES, Word, renamed, warning, words_of
from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.hidden_user import without_users
from kalshi_platform.domain.mistyped import meant, refused_choice

F = TypeVar("F", bound=Callable[..., Any])

#: Typer's words for a value that is no choice: "'tinny' is not one of 'tiny', 'simple'."
_NO_CHOICE = re.compile(r"'(?P<value>.*)' is not one of (?P<choices>'.*')")
#: Beginning of pydantic's words for a value of a wrong type or outside its bounds, and plain ends of them.
_EXPECTED = "Input should be "
_NUMBERS = {
    "a valid integer, unable to parse string as an integer": "a whole number",
    "a valid number, unable to parse string as a number": "a number",
}


class WordedCommand(TyperCommand):
    """A command that understands the old names of its options and refuses a wrong word with a near one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; a usage error (exit 2) names a wrong option or value and what is near."""
        with short_usage_errors():
            return self._parsed(ctx, args)

    def _parsed(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return list(super().parse_args(ctx, self._present_names(ctx, args)))
        except typer.BadParameter as err:
            if err.param is not None and (found := _NO_CHOICE.search(err.message)):
                choices = re.findall(r"'([^']*)'", found["choices"])
                ctx.fail(refused_choice(err.param.opts[0], found["value"], choices))
            if err.param is not None and err.message.startswith(_EXPECTED):
                wanted = err.message.removeprefix(_EXPECTED)
                given = _value_of(err.param, words_of(args, self.get_params(ctx)))
                ctx.fail(f"{err.param.opts[0]} {given}: expected {_NUMBERS.get(wanted, wanted)}")
            raise

    def get_help(self, ctx: Any) -> str:
        """Text of the help; a default that stands in words is shown as any other, without brackets."""
        return re.sub(r"\[default:(\s+)\(([^()\n]+)\)", r"[default:\1\2", str(super().get_help(ctx)))

    def get_short_help_str(self, limit: int = 45) -> str:
        """First sentence of the help for the list of commands, uncut."""
        return str(super().get_short_help_str(max(limit, 1_000)))

    def _present_names(self, ctx: Any, args: list[str]) -> list[str]:
        """Arguments in the present names of the options, after one warning for each old name."""
        if ctx.resilient_parsing:
            return list(args)
        names = OLD_NAMES.get(_path(ctx), {})
        present = self.get_params(ctx)
        words = list(words_of(args, [*present, *_stand_ins(names, present)]))
        _refuse_unknown(ctx, words, present, names)
        done = renamed(words, names)
        if done.both is not None:
            old, new = done.both
            shown = f"{old} is the old name of {new}" if old.startswith("-") else f"{old} is {new}"
            ctx.fail(f"{shown}, and both are given: give {new} alone")
        for old in done.old:
            typer.echo(warning(old, names[old]), err=True)
        return done.arguments


class WordedGroup(TyperGroup):
    """A group that names the nearest command or option where there is none of the name given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command's name; a usage error names a wrong one and what is near."""
        own = list(takewhile(lambda word: word.startswith("-"), args))
        with short_usage_errors():
            if not ctx.resilient_parsing:  # TAB, which offers what there is
                _refuse_unknown(ctx, list(words_of(own, [])), self.get_params(ctx), ())
            return list(super().parse_args(ctx, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Command named by the first argument, and the arguments left for it."""
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        names = self.list_commands(ctx)
        with short_usage_errors():
            if args and args[0] not in names and not args[0].startswith("-"):
                advice = meant(args[0], names) or f"; there are {', '.join(names)}"
                ctx.fail(f"No such command: {args[0]}{advice}")
            name, command, rest = super().resolve_command(ctx, args)
            if command is not None:
                refuse_before(ctx, str(name), command)
            return name, command, rest


class CommandApp(typer.Typer):
    """Commands of one module of this package."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"cls": WordedGroup, "rich_markup_mode": None, **given})

    def command(self, name: str | None = None, **given: Any) -> Callable[[F], F]:
        """Declare a command, as typer does."""
        return super().command(name, **{"cls": WordedCommand, **given})


@contextmanager
def short_usage_errors() -> Iterator[None]:
    """Bound the message of a usage error in the block, and hide passwords: it repeats what was typed."""
    try:
        yield
    except TyperException as error:
        is_help = type(error).__name__ == "NoArgsIsHelpError"  # the whole help is its message
        if not is_help and isinstance(getattr(error, "message", None), str):
            error.message = bounded_message(without_users(error.message))
        raise


def _refuse_unknown(ctx: Any, words: list[Word], parameters: list[Any], old: Container[str]) -> None:
    """Refuse a long option that neither ``parameters`` declare nor ``old`` holds."""
    known = [name for p in parameters for name in (*p.opts, *p.secondary_opts) if name.startswith("--")]
    for word in words:
        is_long = word.kind == "option" and word.name.startswith("--")
        if is_long and word.name not in (*known, "--help") and word.name not in old:
            ctx.fail(f"No such option: {word.name}{meant(word.name, known)}")


def _value_of(parameter: Any, words: Iterable[Word]) -> str:
    """Value that a command line gives an option, quoted: that of its last mention."""
    found = ""
    is_next = False
    for word in words:
        if is_next and word.kind == "value":
            found = word.text
        is_next = word.kind == "option" and word.name in parameter.opts
        if is_next and "=" in word.text:
            found = word.text.partition("=")[2]
    return repr(found)


def _path(ctx: Any) -> str:
    """Words that name the command, without the program's own: ``models register``."""
    names = []
    while ctx.parent is not None:
        names.append(str(ctx.info_name))
        ctx = ctx.parent
    return " ".join(reversed(names))


class _StandIn:
    """An option of an old name: as its present one, only the name differs."""

    param_type_name = "option"

    def __init__(self, name: str, *, is_flag: bool) -> None:
        self.is_flag = is_flag
        self.opts: list[str] = [name]
        self.secondary_opts: list[str] = []


def _stand_ins(names: Mapping[str, str], present: list[Any]) -> list[_StandIn]:
    flags = {name for p in present if getattr(p, "is_flag", False) for name in (*p.opts, *p.secondary_opts)}
    return [
        _StandIn(old, is_flag=not new or new in flags) for old, new in names.items() if old.startswith("-")
    ]
