"""Options that a settings model declares."""

from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from kalshi_platform.cli.main import load_command
from kalshi_platform.cli.options import Fields, with_fields
from kalshi_platform.domain.config import Config


class Speed(Config):
    rate_per_s: float = Field(50.0, gt=0, le=100, description="requests a second")
    kind: Literal["fast", "slow"] = Field("fast", description="how fast")
    hidden: int = Field(7, description="no option")


def asked(*words: str) -> Any:
    """The fields and the own option a command is given for ``words``; its output where it is refused."""
    app, given = typer.Typer(), []

    @app.command()
    @with_fields
    def command(
        *,
        speed: Annotated[dict[str, Any], Fields(Speed, "kind", rate_per_s="--rate")],
        loud: Annotated[bool, typer.Option(help="its own")] = False,
    ) -> None:
        given.append((speed, loud))

    ended = CliRunner().invoke(app, list(words))
    return given[0] if given else ended.output


def test_types_and_defaults_are_the_models_and_a_field_without_an_option_is_left_to_it():
    assert asked() == ({"rate_per_s": 50.0, "kind": "fast"}, False)
    assert asked("--rate", "2.5", "--kind", "slow", "--loud") == ({"rate_per_s": 2.5, "kind": "slow"}, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "101"], "equal to 100"),
        (["--kind", "lazy"], "lazy"),
        (["--rate-per-s", "1"], "No such option"),
        (["--hidden", "1"], "No such option"),
    ],
)
def test_what_the_model_does_not_allow_is_refused(words, said):
    assert said in asked(*words)


def test_help_is_the_fields():
    text = asked("--help")
    for words in ("requests a second", "how fast", "its own", "default: 50.0"):
        assert words in text


OPTIONS = {
    "serve": {
        "--registry", "--model", "--shadow", "--host", "--port", "--token-file",
        "--admin-token-file", "--replicas", "--tier-3", "--deadline-ms", "--ha-proxy", "--metrics-port",
    },
    "loadtest": {
        "--url", "--rate", "--duration-s", "--warm-up-s", "--arrivals", "--seed", "--timeout-s",
        "--target-ms", "--dataset", "--split", "--bodies", "--stream", "--allow-simulated",
        "--accept-missing-inputs", "--token-file", "--out", "--json",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_serve_and_loadtest_have_the_options_that_scripts_rely_on(name):
    assert {option.opts[0] for option in load_command(name).params} == OPTIONS[name]
