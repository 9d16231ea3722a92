"""The loadtest command: its options, its JSON, and figures that are not to be believed."""

import json
from pathlib import Path

import pytest
from made.load_results import measured
from typer.testing import CliRunner

from kalshi_platform.cli import loadtest as command
from kalshi_platform.cli.main import app


def test_the_command_asks_for_what_it_was_told_and_prints_one_json_object(monkeypatch, tmp_path):
    asked = []

    def answer(config):
        asked.append(config)
        return measured()

    monkeypatch.setattr(command, "run_load", answer)
    words = ["loadtest", "--url", "http://127.0.0.1:9", "--rate", "20", "--duration-s", "5", "--json"]
    done = CliRunner().invoke(app, [*words, "--token-file", "t", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(measured().model_dump_json())
    assert (asked[0].rate_per_s, asked[0].duration_s, asked[0].token_file) == (20, 5, Path("t"))
    assert (tmp_path / "loadtest.html").exists()


def test_the_command_fails_where_the_figures_are_not_to_be_believed(monkeypatch):
    monkeypatch.setattr(command, "run_load", lambda config: measured(lag_ms=3))
    done = CliRunner().invoke(app, ["loadtest"])
    assert done.exit_code == 4
    assert "too slow" in done.stderr


def test_the_command_refuses_a_bad_url_by_the_options_name():
    done = CliRunner().invoke(app, ["loadtest", "--url", "127.0.0.1:8000"])
    assert done.exit_code == 2
    assert "--url '127.0.0.1:8000': needs http://host:port" in done.stderr
    assert "LoadConfig" not in done.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:sesame@host:8000", "--url 'http://...@host:8000'"),
        ("ftp://me:sesame@host:8000", "--url 'ftp://...@host:8000'"),
        ("ftp://me:9/sesame@host:1", "--url 'ftp://...@host:1': an address holds no user"),
        ("http://a..b:8000", "--url 'http://a..b:8000': its host is no name"),
        ("http://[::1:8000", "--url 'http://[::1:8000': its host is no name"),
    ],
)
def test_an_address_that_cannot_be_asked_or_holds_a_password_is_refused(url, shown):
    done = CliRunner().invoke(app, ["loadtest", "--url", url])
    assert done.exit_code == 2
    assert shown in done.stderr
    assert "sesame" not in done.stderr
