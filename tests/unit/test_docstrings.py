"""A docstring begins so that a newcomer can read it (CONTRIBUTING.md, "How code looks")."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("kalshi_platform", "serve_deployments", "tune_experiments")

RIDDLE = re.compile(r"(?:^|[.!?:;]\s+)(?:What|Whose|Whether|Had|Were|Of|As)\b")
NEITHER_VERB_NOR_NOUN = re.compile(r"(?:Which|Where|How)\b")


def riddles(source: str) -> list[str]:
    """Places and first words of the docstrings in ``source`` that break the rule."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = " ".join((ast.get_docstring(node) or "").split())
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if RIDDLE.search(text) or (is_function and NEITHER_VERB_NOR_NOUN.match(text)):
            found.append(f"line {getattr(node, 'lineno', 1)}: {text[:60]}")
    return found


def test_a_docstring_opens_with_a_verb_or_a_noun():
    found = {}
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        name = str(path.relative_to(ROOT))
        if broken := riddles(path.read_text()):
            found[name] = broken
    assert found == {}


def test_the_rule_bites():
    assert riddles('def f():\n    """Whose tier."""')
    assert riddles('class A:\n    """A record. As it was written."""')
    assert riddles('def f():\n    """Where it lies."""')
    assert not riddles(
        '"""How a page is made."""\n\ndef f():\n    """Return the page; where it lies is known."""'
    )
