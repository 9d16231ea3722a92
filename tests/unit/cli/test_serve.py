"""The serve command: who may be served, and what it asks for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from serve_deployments import local, token_files


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "--token-file"),
        (["--port", "-1"], "port"),
    ],
)
def test_a_command_that_cannot_serve_ends_with_the_code_of_wrong_usage(options: list[str], words: str):
    ended = CliRunner().invoke(app, ["serve", *options])
    assert ended.exit_code == 2
    assert words in ended.output


def test_the_old_switch_is_needless_and_a_clusters_address_is_said_to_be_unused(
    started, monkeypatch, tmp_path
):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    plain, old = (
        CliRunner().invoke(app, ["serve", *switch, "--registry", str(tmp_path)])
        for switch in ([], ["--local"])
    )
    assert (plain.exit_code, old.exit_code, len(started)) == (0, 0, 2)
    assert "RAY_ADDRESS=ray://head:10001 is not used" in plain.stderr
    assert "--local is needless now" in old.stderr


@pytest.fixture
def started(monkeypatch):
    """What would be served where; nothing is started."""
    found = []
    monkeypatch.setattr(local, "serve_here", lambda *given, **named: found.append((*given, named)))
    monkeypatch.setattr(token_files, "own_admin_token", lambda: Path("/own/admins"))
    return found


def test_the_options_become_the_arguments_of_the_application(started, tmp_path):
    done = CliRunner().invoke(
        app,
        ["serve", "--registry", str(tmp_path), "--model", "canary", "--port", "8123",
         "--replicas", "2", "--deadline-ms", "25", "--tier-3-inside", "--no-ha-proxy",
         "--metrics-port", "9464"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    ((args, host, port, named),) = started
    assert (host, port, named) == ("127.0.0.1", 8123, {"ha_proxy": False, "metrics_port": 9464})
    assert (args.registry, args.model, args.replicas, args.deadline_ms) == (str(tmp_path), "canary", 2, 25)
    assert not args.tier_3
    assert not args.access.require_token
    assert args.access.admin_token_file == Path("/own/admins")


def test_whoever_names_a_token_file_is_served_to_other_machines_with_tokens_only(started, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-tests\n")
    words = [
        "serve",
        "--registry",
        str(tmp_path),
        "--host",
        "0.0.0.0",
        "--token-file",
        str(tokens),
    ]
    done = CliRunner().invoke(app, [*words, "--port", "0"])
    assert done.exit_code == 0, done.output
    ((args, host, port, _),) = started
    assert (host, args.access.require_token, args.access.token_file) == ("0.0.0.0", True, tokens)
    assert port > 0  # a free one was found
