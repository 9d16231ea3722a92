"""The documents tell the truth: their Python runs, their commands and links exist."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.experiment import application
from kalshi_platform.cli.main import COMMANDS, app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(rf"kalshi-platform ((?:{'|'.join(COMMANDS)})\b[^`\n|#]*)")
#: Commands that hold commands.
GROUPS = ("dataset", "runs", "models", "dashboard", "tiers")
_EXPERIMENT = re.compile(r"python -m tune_experiments\.(\w+)([^`\n|#]*)")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
_TARGET = re.compile(r"(?:^    |`)make ([a-z][a-z -]*)", re.MULTILINE)


def python_blocks(page: Path) -> list[tuple[int, str]]:
    """(line number of the first line, code) of every fenced Python block."""
    text = page.read_text()
    return [(text.count("\n", 0, found.start(1)) + 1, found.group(1)) for found in _BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [p for p in PAGES if python_blocks(p)], ids=lambda p: p.name)
def test_the_python_of_a_page_runs_in_order_in_an_empty_folder(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "__walkthrough__"}
    for line, code in python_blocks(page):
        # The padding makes a traceback show the line of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)


def test_the_walkthrough_has_code_for_every_stage():
    assert len(python_blocks(ROOT / "docs" / "walkthrough.md")) == 8


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_shown_exists_with_the_options_shown(page):
    for found in _COMMAND.finditer(page.read_text()):
        words = shlex.split(found.group(1).rstrip(".,;:)"))
        names = words[: 2 if words[0] in GROUPS else 1]
        outcome = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"})
        assert outcome.exit_code == 0, found.group(0)
        unknown = [w for w in words if w.startswith("--") and w.partition("=")[0] not in outcome.output]
        assert unknown == [], found.group(0)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_experiment_shown_exists_with_the_options_shown(page):
    for found in _EXPERIMENT.finditer(page.read_text()):
        if found.group(1) == "NAME":
            continue
        asked = importlib.import_module(f"tune_experiments.{found.group(1)}").EXPERIMENT
        outcome = CliRunner().invoke(application(asked), ["--help"], env={"COLUMNS": "200"})
        assert outcome.exit_code == 0, found.group(0)
        words = [w for w in shlex.split(found.group(2)) if w.startswith("--") and w != "--"]
        assert [w for w in words if w.partition("=")[0] not in outcome.output] == [], found.group(0)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_somewhere(page):
    assert [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_make_target_shown_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in _TARGET.findall(page.read_text()):
        assert set(words.split("  ")[0].split()) <= targets, words
