"""The documents tell the truth: their blocks run, their commands, paths and links exist.

Every block of every page is executed: Python here, commands by ``.ci/readme`` (which ``.ci/run`` runs) or by
the test that a comment before the block names, examples of data by the test of their page (``TAKEN``). What
cannot be executed on a bare machine has a comment with the reason.
"""

import configparser
import csv
import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from made.ci_readme import ci_readme
from made.doc_pages import Block, blocks_of
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
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
#: Test of a page's own -> page, and the words after the language (or languages) of the blocks that it takes.
TAKEN = {
    "tests/unit/docs/test_formats.py": (
        "docs/formats.md",
        "capture level2 quotes trades markets theirs.csv map.yaml factors.csv",
    ),
    "tests/unit/docs/test_recorder.py": ("docs/formats.md", "recorder.py"),
    "tests/integration/trading/test_live_page.py": ("docs/live.md", "limits"),
    "tests/unit/docker/test_trade_alerts.py": ("docs/live.md", "yaml"),
    "tests/unit/docs/test_simexchange.py": ("docs/simexchange.md", "sh json"),
    "tests/unit/docs/test_streaming.py": ("docs/streaming.md", "session"),
    "tests/unit/cluster/test_docs.py": ("docs/cluster.md", "json"),
}
_NOT_RUN = "not run here: "
_RUN_BY = "run by "
#: Reasons of blocks that address a machine of another kind: in one page, whose files other tests check.
_ELSEWHERE = tuple(
    _NOT_RUN + f"needs {what}" for what in ("docker", "an AWS account", "a Kubernetes cluster")
)
CI = ".ci/run"
#: First words of a command: a block of them is an sh block, so that it is run or says why not.
_PROGRAMS = (
    "kalshi-platform",
    "make",
    "python",
    "curl",
    ".venv/bin",
    "ray",
    "docker",
    "kubectl",
    "pip",
    "git",
)
_COMMAND = re.compile(rf"kalshi-platform ((?:{'|'.join(COMMANDS)})\b[^`\n|#]*)")
#: Commands that hold commands.
GROUPS = ("dataset", "runs", "models", "dashboard", "tiers", "exchange", "simexchange")
_EXPERIMENT = re.compile(r"python -m tune_experiments\.(\w+)([^`\n|#]*)")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
_TARGET = re.compile(r"(?:^    |`)make ([a-z][a-z -]*)", re.MULTILINE)


def python_blocks(page: Path) -> list[tuple[int, str]]:
    """(line number of the first line, code) of every fenced Python block that is not a file of its own."""
    return [(b.line, b.text) for b in blocks_of(page) if (b.language, b.word) == ("python", "")]


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


def name_of(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


def taken(block: Block) -> str:
    """Return the test of the page that takes the block, "" where there is none."""
    page, word = str(block.page.relative_to(ROOT)), block.word or block.language
    return next((test for test, (of, words) in TAKEN.items() if of == page and word in words.split()), "")


def how_it_runs(block: Block) -> str:
    """Return who executes the block, or the reason why nobody does; "" where neither is known."""
    if block.mark.startswith((_NOT_RUN, _RUN_BY)):
        return block.mark
    if block.language == "sh" and block.page.name == "README.md":
        return _RUN_BY + CI
    if block.language == "python" and not block.word:
        return _RUN_BY + "this file"
    if block.language in ("mermaid", ""):
        return "drawn"
    return _RUN_BY + taken(block) if taken(block) else ""


@pytest.mark.parametrize("block", BLOCKS, ids=name_of)
def test_every_block_is_executed_or_says_why_not(block):
    how = how_it_runs(block)
    assert how, "no test executes this block: add one, or say <!-- not run here: why --> before it"
    assert how != _NOT_RUN.strip(), "say why"
    if how.startswith(_RUN_BY) and how != _RUN_BY + "this file":
        assert (ROOT / how.removeprefix(_RUN_BY)).is_file(), how


def test_the_test_that_takes_a_block_reads_its_page():
    for block in BLOCKS:
        how = how_it_runs(block).removeprefix(_RUN_BY)
        if how.startswith("tests/"):
            text = (ROOT / how).read_text()
            assert block.page.name in text or "dashboard" in how, f"{how} does not read {block.page.name}"


def test_only_blocks_that_a_bare_machine_cannot_run_are_not_run():
    reasons = Counter(how for block in BLOCKS if (how := how_it_runs(block)).startswith(_NOT_RUN))
    print(f"{len(BLOCKS)} blocks, {sum(reasons.values())} not run here: {dict(reasons)}")
    assert {block.page.name for block in BLOCKS if how_it_runs(block) in _ELSEWHERE} == {"cluster.md"}
    assert sum(n for reason, n in reasons.items() if reason not in _ELSEWHERE) <= 6
    assert len(BLOCKS) > 50


def test_ci_runs_readme_and_the_marked_blocks_of_the_pages_it_names():
    (line,) = re.findall(r"^\.ci/readme(.*)$", (ROOT / CI).read_text(), re.MULTILINE)
    script = ci_readme()
    run = script.all_commands(line.split())
    for block in BLOCKS:
        if block.language == "sh" and how_it_runs(block) == _RUN_BY + CI:
            assert set(script.commands(f"```sh\n{block.text}```\n")) <= set(run), name_of(block)
    assert sum(command.startswith(script.SERVER) for command in run) == 1


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], ids=name_of)
def test_every_sh_block_is_shell_without_a_placeholder_in_readme(block):
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=600)
    if block.page.name == "README.md":
        assert re.findall(r"\b(?!RECORDINGS|DATASET|KXHIGHNY)[A-Z]{3,}\b|path/to|<[a-z]+>", block.text) == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language != "sh"], ids=name_of)
def test_a_block_is_what_its_language_says(block):
    lines = [line for line in block.text.splitlines() if line.strip()]
    match block.language:
        case "json":
            json.loads(block.text)
        case "jsonl":
            assert all(isinstance(json.loads(line), dict) for line in lines)
        case "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
        case "csv":
            assert len({len(row) for row in csv.reader(lines)}) == 1
        case "toml":
            assert tomllib.loads(block.text)
        case "ini":
            configparser.ConfigParser(strict=True).read_string(block.text)
        case "session":
            assert all(json.loads(line.removeprefix("> ").removeprefix("< ")) for line in lines)
        case "mermaid":
            assert lines[0].split()[0] in ("flowchart", "sequenceDiagram")
        case "python":
            compile(block.text, name_of(block), "exec")
        case language:
            assert language == "", f"{language}: say how a test takes this language"
            assert [line for line in lines if line.lstrip("$ ").startswith(_PROGRAMS)] == []


def test_every_path_of_the_table_to_change_something_exists():
    text = (ROOT / "README.md").read_text()
    rows = re.findall(
        r"^\| (?!to change|---)(.+?) \| (.+) \|$", text[text.index("| to change") :], re.MULTILINE
    )
    asked = "fee feature reward action endpoint level gate importer page baseline curriculum sweep"
    assert [word for word in asked.split() if not any(word in what for what, _ in rows)] == []
    for _, opened in rows:
        first, *beside = re.findall(r"`([^`]+)`", opened)
        assert (ROOT / first).exists(), first
        for name in beside:
            assert (ROOT / name).exists() or (ROOT / first).with_name(name).exists(), name
