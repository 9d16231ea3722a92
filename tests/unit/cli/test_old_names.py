"""Old spellings of options: they work, warn once, are hidden, and may not stand beside the present ones."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import models, progressive, quickstart
from kalshi_platform.cli.main import COMMANDS, app, load_command
from kalshi_platform.cli.old_names import OLD_NAMES, renamed, warning, words_of
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.models.registry.store import Registry


def option(*names, is_flag=False):
    return SimpleNamespace(param_type_name="option", opts=list(names), secondary_opts=[], is_flag=is_flag)


KNOWN = [option("--run"), option("--reason"), option("--checkpoint"), option("--json", is_flag=True)]


def rewritten(*arguments, names):
    return renamed(list(words_of(arguments, KNOWN)), names)


def test_an_old_name_becomes_the_present_one_wherever_its_value_stands():
    names = {"--checkpoint": "--run"}
    assert rewritten("--checkpoint", "a", "--json", names=names).arguments == ["--run", "a", "--json"]
    assert rewritten("--checkpoint=a=b", names=names).arguments == ["--run=a=b"]
    assert rewritten("--checkpoint", "a", names=names).old == ["--checkpoint"]
    assert rewritten("--run", "a", names=names) == (["--run", "a"], [], None)


def test_a_value_that_looks_like_an_old_name_stays_a_value():
    done = rewritten("--reason", "--checkpoint", "--run", "a", names={"--checkpoint": "--run"})
    assert done == (["--reason", "--checkpoint", "--run", "a"], [], None)
    behind = rewritten("--", "--checkpoint", names={"--checkpoint": "--run"})
    assert behind == (["--", "--checkpoint"], [], None)


def test_both_names_together_are_told():
    assert rewritten("--run=a", "--checkpoint", "b", names={"--checkpoint": "--run"}).both == (
        "--checkpoint", "--run",
    )  # fmt: skip


def test_a_positional_argument_becomes_an_option_and_a_needless_switch_goes():
    assert rewritten("--json", "a", names={"RUN": "--run"}).arguments == ["--json", "--run", "a"]
    assert rewritten("--local", "--json", names={"--local": ""}).arguments == ["--json"]


def test_every_old_name_is_of_a_command_that_has_the_present_one_and_stands_in_no_help():
    for path, names in OLD_NAMES.items():
        name, *sub = path.split()
        assert name in COMMANDS
        command = load_command(name)
        for each in sub:
            command = command.commands[each]
        present = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        text = CliRunner().invoke(app, [*path.split(), "--help"]).output
        for old, new in names.items():
            assert old not in present
            assert not new or new in present
            assert f"{old} " not in text.partition("Options:")[2]
            assert old in warning(old, new)


@pytest.fixture
def asked(monkeypatch):
    """Settings with which the commands were asked; nothing is done."""
    found = []

    def stop(*given, **named):
        found.append([each for each in given if not isinstance(each, Registry)])
        raise LimitError("so far only")

    monkeypatch.setattr(quickstart, "quickstart", stop)
    monkeypatch.setattr(progressive, "run_progressive", stop)
    monkeypatch.setattr(models, "register_run", stop)
    return found


@pytest.mark.parametrize(
    ("old", "new", "warned"),
    [
        (
            ["quickstart", "--data", "."],
            ["quickstart", "--input", "."],
            "--data is now --input; the old name goes with the next release",
        ),
        (
            ["progressive", "--dataset", "d", "--out", "o", "--steps-per-level", "7"],
            ["progressive", "--dataset", "d", "--out", "o", "--steps", "7"],
            "--steps-per-level is now --steps; the old name goes with the next release",
        ),
        (
            ["models", "register", "r", "--dataset", "d"],
            ["models", "register", "--run", "r", "--dataset", "d"],
            "write --run before RUN; without it the command ends with the next release",
        ),
    ],
)
def test_the_old_command_line_asks_for_the_same_and_warns_once(asked, old, new, warned):
    first, second = (CliRunner().invoke(app, words) for words in (old, new))
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert first.stderr.splitlines().count(warned) == 1
    assert warned not in second.stderr


def test_both_spellings_are_refused():
    ended = CliRunner().invoke(app, ["evaluate", "--checkpoint", "a", "--run", "b", "--dataset", "d"])
    assert ended.exit_code == 2
    assert "--checkpoint is the old name of --run, and both are given: give --run alone" in ended.stderr
