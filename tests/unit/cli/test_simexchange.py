"""``kalshi-platform simexchange``: what it refuses before it serves; docs/simexchange.md runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app

RUN = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--speed", "0"], "--speed"),
        (["--events", "0"], "--events"),
        (["--exchange", "planted_imbalance"], "--exchange"),
        (["--tier", "gold"], "--tier"),
        (["--start", "9999-12-31T23:59:59Z"], "--start '9999-12-31T23:59:59Z' lies outside 1970 to 2262"),
        (["--start", "2261-12-31T23:59:59Z"], "--start 2261-12-31T23:59:59Z: give a time up to 2100"),
        (["--start", "1969-12-31T23:59:59Z"], "--start '1969-12-31T23:59:59Z' lies outside 1970"),
        (["--start", "now"], "--start 'now' is no time"),
        (["--set", "start_ns=99999999999999999999"], "--set start_ns=99999999999999999999: allowed:"),
        (["--set", "start_ns=-1"], "--set start_ns=-1: allowed:"),
        (["--set", "start_ns=1", "--start", "2026-11-02T13:00:00Z"], "give one of them"),
    ],
)
def test_wrong_settings_are_refused_by_the_name_of_their_option(arguments, words):
    found = RUN.invoke(app, ["simexchange", "serve", "--keys", "none", *arguments])
    assert found.exit_code == 2
    assert words in found.output


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path):
    found = RUN.invoke(app, ["simexchange", "serve", "--keys", str(tmp_path)])
    assert found.exit_code == 2
    assert "simexchange keys --out" in found.output


def test_keys_are_made_once(tmp_path: Path):
    out = str(tmp_path / "keys")
    made = RUN.invoke(app, ["simexchange", "keys", "--out", out])
    assert made.exit_code == 0
    listed = {
        each["key_id"]: f"{out}/{each['name']}.pem"
        for each in json.loads((tmp_path / "keys/keys.json").read_text())
    }
    assert made.output.split() == [word for pair in listed.items() for word in pair]
    again = RUN.invoke(app, ["simexchange", "keys", "--out", out])
    assert again.exit_code == 2
    assert "holds keys already" in again.output
