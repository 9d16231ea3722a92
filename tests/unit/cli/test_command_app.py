"""Every command's words: help whole at 80 columns, one meaning an option, advice for mistyped ones."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.experiment import application
from kalshi_platform.cli.main import COMMANDS, app, load_command
from tune_experiments.complexity_sweep import EXPERIMENT


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, and the commands of every group, by the words that call them."""
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        for sub, each in getattr(command, "commands", {}).items():
            yield f"{name} {sub}", each


EVERY = dict(commands())


def options(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option"]


@pytest.mark.parametrize("path", EVERY)
def test_help_at_80_columns_names_every_option_whole(path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, [*path.split(), "--help"]).output
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.replace(",", " ").split()
    for option in options(EVERY[path]):
        for name in (*option.opts, *option.secondary_opts):
            assert name in words


@pytest.mark.parametrize("path", [path for path, command in EVERY.items() if hasattr(command, "commands")])
def test_a_group_alone_shows_its_whole_help(path):
    alone, asked = (CliRunner().invoke(app, [*path.split(), *more]).output for more in ((), ("--help",)))
    assert alone.split() == asked.split()


def test_the_help_of_a_group_cuts_no_sentence(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for path, command in EVERY.items():
        if hasattr(command, "commands"):
            text = CliRunner().invoke(app, [path, "--help"]).output
            assert "..." not in text.replace("[ARGS]...", "")


@pytest.mark.parametrize("path", ["record", "trade"])
def test_the_help_of_a_command_that_needs_a_key_says_where_it_comes_from(path):
    text = CliRunner().invoke(app, [path, "--help"]).output
    assert "KALSHI_API_KEY_ID" in text
    assert "KALSHI_PRIVATE_KEY_FILE" in text


def test_a_sweeps_help_is_whole_too(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(application(EXPERIMENT), ["--help"]).output
    assert "…" not in text
    for name in ("--steps", "--dataset", "--registry", "--no-register", "environment steps"):
        assert name in text


#: Options of several commands that mean one thing, and the first words of their help in each of them.
MEANINGS = {
    "--dataset": ("a built dataset:",),
    "--split": ("the part of the dataset",),
    "--input": ("raw recordings:",),
    "--run": ("a training run's folder",),
    "--registry": ("registry of models:",),
    "--steps": ("environment steps of one training run",),
    # These name their own result or rule in each command.
    "--resume": (
        "continue the run in --out",
        "continue the sweep in --storage or --out",
        "why an account that was halted may trade again",
    ),
    "--rest-url": ("root of the exchange's REST calls",),
    "--stream-url": ("address of the exchange's stream",),
    "--smoke": ("take every step", "run every step"),
    "--storage": ("Folder or s3://bucket/prefix to reach", "where the sweep lies"),
    "--out": ("folder", "new folder", "new dataset", "where everything goes", "the Parquet file"),
    "--set": ("",),
    "--seed": ("root of all randomness", "seed of all random draws", "seed for request times"),
    "--alias": ("alias to assign", "the alias to set back", "only this alias"),
    "--reason": ("why, in words",),
    "--final": ("",),
    "--use-yes-price": ("how captures were subscribed",),
    "--port": ("0 = any free one",),
    "--browser": ("also open it",),
    "--model": ("alias to follow",),
    "--token-file": ("",),
    "--workers": ("sampling processes", "parallel processes"),
    "--events": ("simulated events", "number of events"),
    "--exchange": ("which simulated world",),
}


def test_an_option_of_several_commands_means_one_thing():
    helps: dict[str, dict[str, str]] = {}
    for path, command in {**EVERY, "a sweep": load_sweep()}.items():
        for option in options(command):
            assert option.help, f"{path} {option.opts[0]} says nothing"
            helps.setdefault(option.opts[0], {})[path] = option.help
    for name, found in helps.items():
        if len(set(found.values())) > 1:
            assert name in MEANINGS, f"{name} is told in several ways: {found}"
    for name, allowed in MEANINGS.items():
        for path, text in helps.get(name, {}).items():
            assert text.startswith(allowed), f"{path} {name}: {text}"


def load_sweep() -> Any:
    import typer

    return typer.main.get_command(application(EXPERIMENT))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "No such command: trian; did you mean train?"),
        (["zzz"], "No such command: zzz; there are quickstart, dataset,"),
        (["models", "shwo"], "No such command: shwo; did you mean show?"),
        (["--versoin"], "No such option: --versoin; did you mean --version?"),
        (["train", "--datset", "x"], "No such option: --datset; did you mean --dataset"),
        (["simulate", "--out", "x", "--exchange", "calibratd"], "did you mean calibrated?"),
        (["evaluate", "--run", "x", "--dataset", "y", "--split", "tets"], "did you mean test?"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_refused_with_the_nearest(words, said):
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("simulate", "--out", "x", "--seed", "many"), "--seed 'many': expected a whole number"),
        (("simulate", "--out", "x", "--seed=", "--events", "2"), "--seed '': expected a whole number"),
        (("loadtest", "--rate", "fast"), "--rate 'fast': expected a number"),
        (("serve", "--port", "1", "--port", "99999"), "--port '99999': expected less than or equal to 65535"),
    ],
)
def test_a_value_that_is_no_number_is_refused_with_the_option_and_the_value(words, told):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 2
    assert f"Error: {told}\n" in done.output


def test_a_default_that_stands_in_words_has_no_brackets(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["train", "--help"]).output
    assert "[default: tiny" in shown
    assert "[default: (" not in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("loadtest", ("with --stream: accept a model that was judged on simulated data only",
                      "with --stream: accept a model some of whose inputs a capture does not hold")),
        ("record status", ("A book is proven while", "its seal, the file beside it that holds its size")),
        ("serve", ("goes through tiers, from cheap to costly", "tier 3 (the model itself)")),
    ],
)  # fmt: skip
def test_help_explains_the_words_that_it_uses(words, said):
    done = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "80"})
    plain = " ".join(done.output.split())
    for text in said:
        assert text in plain


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("record --out x status --", "--json"),
        ("trade --series A report --", "--json"),
        ("record --out x nonsense --", ""),
        ("record --nonsense x status --", ""),
        ("record nonsense --", ""),
        ("record --out x st", "status"),
    ],
)
def test_tab_behind_any_words_offers_what_there_is_and_raises_nothing(words, offered):
    typed = ["kalshi-platform", *words.split()]
    asked = {
        "_KALSHI_PLATFORM_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
    }
    done = CliRunner().invoke(app, [], env=asked, prog_name="kalshi-platform")
    assert done.exit_code == 0, done.output
    assert offered in done.stdout
    assert "Traceback" not in done.output
