"""Commands that messages show: each is read by the real command line with the options it shows."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kalshi_platform.cli.main import COMMANDS, load_command

ROOT = Path(__file__).parents[3] / "kalshi_platform"
#: A name in braces stands for a value.
SHOWN = re.compile(rf"kalshi-platform ((?:{'|'.join(COMMANDS)})\b[^`\n|#,;()]*)")


def command_at(words: list[str]) -> tuple[Any, list[str]]:
    """The command that ``words`` name, and the words left for it."""
    command, rest = load_command(words[0]), words[1:]
    while getattr(command, "commands", None) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def refuse_unknown(words: list[str]) -> None:
    command, rest = command_at(words)
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    assert unknown == [], words


def called() -> list[tuple[str, list[str]]]:
    """Words of every ``command_line(...)`` in the package; what is no text stands as a value."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command_line":
                words = [a.value if isinstance(a, ast.Constant) else "VALUE" for a in node.args]
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", words))
    return found


def shown() -> list[tuple[str, list[str]]]:
    """Words of every command in a message or a docstring of the package."""
    return [
        (f"{path.relative_to(ROOT)}: {words}", shlex.split(re.sub(r"\{[^}]*\}", "VALUE", words)))
        for path in sorted(ROOT.rglob("*.py"))
        for words in (found.group(1).rstrip(".\"' ") for found in SHOWN.finditer(path.read_text()))
        if words.count('"') % 2 == 0 and words.count("'") % 2 == 0
    ]


@pytest.mark.parametrize(
    ("place", "words"), called(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_that_is_put_together_is_one_of_ours(place, words):
    assert words
    assert words[0] in COMMANDS, place
    refuse_unknown([str(word) for word in words])


def told() -> list[tuple[str, list[str]]]:
    """Every ``command_line(...)`` as the source writes it; what is no text stands as its source."""
    found = []
    for path in sorted(ROOT.parent.rglob("*.py")):
        if path.is_relative_to(ROOT) or path.is_relative_to(ROOT.parent / "serve_deployments"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command_line":
                    words = [
                        str(a.value) if isinstance(a, ast.Constant) else ast.unparse(a) for a in node.args
                    ]
                    found.append((f"{path.relative_to(ROOT.parent)}", words))
    return found


#: Commands about a registry that need not name one: they are advice before there is any, or follow a command
#: that was given none.
NAMES_NO_REGISTRY = {
    ("kalshi_platform/models/registry/store.py", "register"),
    ("kalshi_platform/cli/evaluate.py", "register"),
}


def test_a_next_command_about_a_model_names_the_registry_that_holds_it():
    seen = 0
    for place, words in told():
        if words[0] not in ("models", "serve", "tiers") or (place, words[1]) in NAMES_NO_REGISTRY:
            continue
        seen += 1
        named = "--registry" in words or any(
            word.startswith(("*registry_words(", "*where", "*tried")) for word in words
        )
        assert named, (place, words)
    assert seen >= 5


def test_a_command_in_a_message_is_one_of_ours():
    found = shown()
    assert len(found) > 10
    for _, words in found:
        refuse_unknown(words)


def test_the_tests_bite():
    with pytest.raises(AssertionError):
        refuse_unknown(["evaluate", "--checkpoint", "VALUE"])
