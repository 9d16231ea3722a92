"""Refusals of settings name the option that was given."""

from typing import Literal

import pytest
from pydantic import Field, model_validator
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.learning.training.session import RunSettings


class Knobs(Config):
    rate: float = Field(1.0, gt=0, le=9, description="how often")
    kind: Literal["fast", "slow"] = "fast"

    @model_validator(mode="after")
    def _goes_together(self) -> "Knobs":
        if self.kind == "slow" and self.rate > 5:
            raise ValueError("--rate above 5 and --kind slow do not go together")
        return self


OPTIONS = {"Knobs.rate": "--rate", "Knobs.kind": "--kind"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": 0}, "--rate 0: allowed: above 0, at most 9"),
        ({"kind": "fats"}, "--kind 'fats': expected fast, slow; did you mean fast?"),
        ({"kind": "fats", "rate": 0}, "--rate 0: .*\n--kind 'fats': "),
        ({"kind": "slow", "rate": 6}, "^--rate above 5 and --kind slow do not go together$"),
    ],
)
def test_the_option_its_value_and_what_is_allowed_are_told(values, said):
    with pytest.raises(ContractError, match=said) as refused, option_words(OPTIONS):
        Knobs.parse(values)
    assert "Knobs" not in str(refused.value)
    assert "settings refused" not in str(refused.value)


def test_an_option_that_must_be_given_is_told_as_missing():
    class Place(Config):
        address: str
        port: int

    with pytest.raises(ContractError) as refused, option_words({"Place.address": "--url"}):
        Place.parse({})
    assert str(refused.value) == "--url is missing\nPlace.port is missing"


def test_a_setting_without_an_option_of_its_own_is_told_as_it_is_set():
    with pytest.raises(ContractError, match=r"^--set train.gamma=2: allowed: above 0"), option_words():
        RunSettings().with_values({"train.gamma": 2})


def test_other_refusals_are_left_as_they_are():
    for error in (ContractError("no"), LimitError("settings refused:\n  Knobs.rate = 0: no")):
        with pytest.raises(type(error)) as found, option_words(OPTIONS):
            raise error
        assert found.value is error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("train", "--out", "x", "--dataset", "y", "--curriculum", "phase"),
            "--curriculum 'phase': expected ",
        ),
        (("train", "--out", "x", "--dataset", "y", "--level", "tinny"), "did you mean tiny?"),
        (("loadtest", "--rate", "0"), "--rate 0.0: allowed: above 0"),
        (("serve", "--deadline-ms", "0"), "--deadline-ms 0.0: allowed: above 0"),
        (
            ("models", "promote", "x", "--gate", "max_drawdwn=0.1"),
            "no such setting; did you mean max_drawdown",
        ),
    ],
)
def test_commands_refuse_by_their_options(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, list(words))
    assert ended.exit_code == 2
    assert said in ended.stderr
