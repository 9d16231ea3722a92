"""Options that would be taken and not looked at: refused with exit 2, in words that name both."""

import re

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app

#: Of a run and a dataset that nobody needs: the refusal comes before anything is opened.
JUDGED = ["--run", "none", "--dataset", "none"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("record --alerts al.txt alert hi", "--alerts belongs behind `alert`"),
        ("record --rest-url ftp://x --minutes 5 status rec",
         "`status` has no --minutes and no --rest-url: leave them out"),
        ("trade --json --mode nonsense --out x report rec",
         "--json belongs behind `report`; `report` has no --mode and no --out"),
        ("trade --series A report rec", "`report` has no --series"),
    ],
)  # fmt: skip
def test_options_before_a_subcommand_are_refused(words, said):
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_help_and_options_behind_a_subcommand_are_taken():
    assert CliRunner().invoke(app, ["record", "--help"]).exit_code == 0
    assert CliRunner().invoke(app, ["record", "status", "--help"]).exit_code == 0
    done = CliRunner().invoke(app, ["record", "alert", "--alerts", "/proc/no/such/place", "hi"])
    assert "--alerts /proc/no/such/place: cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["loadtest", "--allow-simulated", "--accept-missing-inputs"],
         "--allow-simulated, --accept-missing-inputs without --stream"),
        (["loadtest", "--split", "train", "--bodies", "none"], "--split beside --bodies"),
        (["loadtest", "--split", "train", "--stream", "none"], "--split beside --stream"),
        (["doctor", "--security", "--storage", "s3://nonsense", "--deep"],
         "--storage, --deep beside --security"),
        (["plan", "--machine", "c7i.2xlarge", "--place", "/nonexistent"],
         "--place beside --machine 'c7i.2xlarge'"),
        (["plan", "--paper", "--markets", "5"], "--markets beside --paper"),
        (["quickstart", "--input", "/", "--events", "30"], "--events beside --input"),
        (["quickstart", "--no-use-yes-price"], "--no-use-yes-price without --input"),
        (["dataset", "convert", "--example", "trades", "--out", "x"], "--out beside --example"),
        (["evaluate", *JUDGED, "--final", "--split", "validation"], "--final beside --split validation"),
        (["models", "promote", "m", "--alias", "challenger", "--gate", "max_drawdown=0.2"],
         "--gate beside --alias challenger"),
    ],
)  # fmt: skip
def test_an_option_that_does_nothing_beside_another_is_refused(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "beside"),
    [
        (
            ["loadtest", "--no-allow-simulated", "--split", "train", "--bodies", "none"],
            "--split beside --bodies",
        ),
        (["doctor", "--security", "--no-deep", "--storage", "none"], "--storage beside --security"),
        (["evaluate", *JUDGED, "--split", "validation", "--no-final"], ""),
    ],
)
def test_a_switch_left_as_it_is_does_nothing_that_could_be_missed(words, beside):
    done = CliRunner().invoke(app, words)
    assert (beside or "none holds no policy") in done.stderr
    assert not re.search(r"(final|deep|allow-simulated)[^\n]* (beside|without)", done.stderr), done.stderr
