"""Whatever a command is given, its message has at most MAX_MESSAGE characters and no stack trace.

Every command, and every option of each, with values of no use: words of 100,000 letters, numbers of
thousands of digits, addresses of nowhere. Options that a command needs are given such values too, so that no
command begins to work.
"""

import sys

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import main
from kalshi_platform.domain.bounded import MAX_MESSAGE

#: None of them can be a value of anything: whatever takes one as a path cannot even make it.
HOSTILE = ("x" * 100_000, "9" * 5_000, "[" * 5_000, "s3://" + "x" * 5_000)
#: Without an option that is wrong these begin to work, or serve until a signal.
ALWAYS = {
    "quickstart": ["--input", "/proc/no/such/place"],
    "serve": ["--registry", "/proc/no/such/place"],
    "simexchange serve": ["--keys", "/proc/no/such/place"],
    "record": ["--out", ""],
    "loadtest": ["--url", "nowhere"],
    "plan": ["--machine", "none"],
    "exchange drift": ["--openapi", "/proc/no/such/place"],
}
#: They look at this machine and at nothing that they are given, or start the benchmarks.
LOOKING = ("doctor", "bench", "dashboard mlflow", "dashboard ray", "dashboard tensorboard")


def commands(command=None, path=()):
    """(Path, command) of every command of the program that does something."""
    if command is None:
        for name in main.COMMANDS:
            yield from commands(main.load_command(name), (name,))
        return
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
        if not getattr(command, "invoke_without_command", False):
            return
    yield " ".join(path), command


def refused(words):
    """Run the program with ``words``; its message where it refuses."""
    outcome = CliRunner().invoke(main.app, words)
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), (
        f"{[w[:60] for w in words]}: {outcome.exception!r:.300}"
    )
    _, found, said = outcome.stderr.rpartition("Error: ")
    message = said if found else outcome.stderr.rpartition("kalshi-platform: ")[2]
    assert len(message.strip()) <= MAX_MESSAGE, f"{[w[:60] for w in words]}: {message[:300]}"
    assert "Traceback" not in outcome.stderr
    return outcome.exit_code, message


@pytest.mark.parametrize("value", HOSTILE, ids=["letters", "digits", "brackets", "address"])
def test_every_option_of_every_command_is_refused_in_a_short_message(value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    n_asked = n_refused = 0
    for path, command in commands():
        if path in LOOKING:
            continue
        needed = [p for p in command.params if p.required]
        for option in command.params:
            if option.param_type_name != "option" or option.is_flag or "--help" in option.opts:
                continue
            words = path.split()
            given = dict.fromkeys([p.opts[-1] for p in needed if p.param_type_name == "option"], value)
            given[option.opts[-1]] = value
            fixed = ALWAYS.get(path, [])
            for name, each in given.items():
                words += [] if name in fixed else [name, each]
            words += fixed + [value for p in needed if p.param_type_name == "argument"]
            code, _ = refused(words)
            n_asked, n_refused = n_asked + 1, n_refused + (code != 0)
    assert n_asked > 100
    assert n_refused > 0.9 * n_asked


@pytest.mark.parametrize("word", [*HOSTILE[:3], f"--{'x' * 100_000}", f"--{'x' * 5_000}=1"])
def test_unknown_words_of_any_length_are_refused_in_a_short_message(word):
    for words in ([word], ["dataset", word], ["train", word], ["dataset", "build", word]):
        code, message = refused(words)
        assert code == 2, words[0][:40]
        assert message


def test_the_experiments_refuse_in_short_messages_too(monkeypatch, capsys):
    from kalshi_platform.cli.experiment import application
    from tune_experiments.hyperparameters import EXPERIMENT

    app = application(EXPERIMENT)
    for option in (
        "--dataset",
        "--out",
        "--storage",
        "--steps",
        "--set",
        "--sweep",
        "--registry",
        "--no-such",
    ):
        for value in HOSTILE:
            words = [option, value, *(["--sweep", "no=1"] if option not in ("--sweep", "--no-such") else [])]
            monkeypatch.setattr(sys, "argv", ["hyperparameters", *words])
            outcome = CliRunner().invoke(app, words)
            assert outcome.exit_code in (2, 3), f"{option}: {outcome.exception!r:.200}"
            assert isinstance(outcome.exception, SystemExit), (
                f"{option} {value[:20]}: {outcome.exception!r:.200}"
            )
            said = outcome.stderr.rpartition("Error: ")[2].rpartition("kalshi-platform: ")[2]
            assert len(said.strip()) <= MAX_MESSAGE, f"{option}: {said[:200]}"
