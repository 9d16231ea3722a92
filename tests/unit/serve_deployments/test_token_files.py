"""Files with tokens: asked for where strangers reach the service, made and kept for their owner alone."""

import stat
from pathlib import Path

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.serving.server.gate import AccessArgs, read_tokens
from serve_deployments.token_files import own_admin_token, require_safe, require_tokens, say_exposed

TOKEN = "a-token-of-the-tests"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_other_machines_are_served_with_tokens_only(host: str):
    with pytest.raises(ContractError, match=r"--token-file, or in a config by access\.token_file"):
        require_safe(host, require_token=False)
    require_safe(host, require_token=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_loopback_needs_none(host: str):
    require_safe(host, require_token=False)


def test_an_administrators_token_is_made_once_and_kept_to_its_owner(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    path = own_admin_token()
    made = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read_tokens(path, None)) == 1
    assert capsys.readouterr().err == ""
    path.chmod(0o644)
    path.parent.chmod(0o777)
    assert own_admin_token().read_text() == made
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o755)
    assert f"{path} could be used by other users: only you may now" in capsys.readouterr().err


def test_a_token_that_is_a_clients_and_an_administrators_is_refused(tmp_path: Path):
    (tmp_path / "clients").write_text(f"another-token-of-the-tests\n{TOKEN}\n")
    (tmp_path / "admins").write_text(f"{TOKEN}\n")
    access = AccessArgs(token_file=tmp_path / "clients", admin_token_file=tmp_path / "admins")
    with pytest.raises(ContractError, match="could change what is served"):
        require_tokens(access)
    (tmp_path / "admins").write_text("an-admin-token-of-the-tests\n")
    require_tokens(access)


def test_a_token_file_that_others_can_read_is_warned_of_and_another_is_not(tmp_path: Path, capsys):
    path = tmp_path / "clients"
    path.write_text(TOKEN)
    path.chmod(0o644)
    say_exposed(AccessArgs(token_file=path))
    assert f"other users can use the tokens in {path} ({path} has mode 0644)" in capsys.readouterr().err
    path.chmod(0o600)
    say_exposed(AccessArgs(token_file=path))
    assert capsys.readouterr().err == ""
