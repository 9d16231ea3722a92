"""Options that a settings model declares."""

import os
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from kalshi_platform.cli.main import app, load_command
from kalshi_platform.cli.options import Fields, page_folder, with_fields
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import StorageError


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
        "--accept-missing-inputs", "--token-file", "--out", "--json", "--connections",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_serve_and_loadtest_have_the_options_that_scripts_rely_on(name):
    assert {option.opts[0] for option in load_command(name).params} == OPTIONS[name]


def test_a_folder_that_cannot_hold_a_page_is_refused_and_none_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=r"cannot hold a page: .*/file is a file; give another --out"):
            page_folder(out)
    assert page_folder(tmp_path / "new" / "below") == tmp_path / "new" / "below"
    assert page_folder(None) is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="may not be written; give another --out"):
        page_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["calibrate", "--recorded", "x", "--simulated", "x"],
        ["evaluate", "--run", "x", "--dataset", "x"],
        ["loadtest", "--url", "http://127.0.0.1:1"],
        ["runs", "compare", "x"],
        ["tiers", "build", "x", "--dataset", "x"],
        ["tiers", "report", "x", "--dataset", "x"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_commands_that_write_a_page_refuse_its_place_first(words, tmp_path):
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "file")])
    assert done.exit_code == 3, done.output
    assert "file is a file; give another --out" in done.stderr
