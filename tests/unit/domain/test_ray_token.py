"""Ray's token file: only its owner may read it, before Ray looks for it."""

import os
import stat

import pytest

from kalshi_platform.domain import ray_token
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.ray_token import faults, keep_to_owner, token_of


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_token.Path, "home", lambda: tmp_path)
    return tmp_path / ".ray" / "auth_token"


def test_a_missing_token_is_made_for_its_owner_alone(path):
    assert keep_to_owner({}) == ""
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert len(path.read_text()) == 64
    assert faults({}) == []


def test_a_token_that_others_can_read_is_narrowed_and_said_to_be(path):
    path.parent.mkdir()
    path.parent.chmod(0o777)
    path.write_text("a" * 64)
    path.chmod(0o644)
    assert faults({}) == [f"{path} has mode 0644", f"{path.parent} has mode 0777"]
    assert keep_to_owner({}).startswith(f"{path} and {path.parent} could be used by other users")
    assert (mode(path), mode(path.parent), path.read_text()) == (0o600, 0o755, "a" * 64)
    assert keep_to_owner({}) == ""


def test_a_token_of_another_user_is_refused(path, monkeypatch):
    keep_to_owner({})
    if os.getuid() == 0:  # from whom nothing can be kept
        os.chown(path, 4_321, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 4_321)
    with pytest.raises(ContractError, match=r"auth_token belongs to user \d+, who could take Ray over"):
        keep_to_owner({})


@pytest.mark.parametrize("environment", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "x"}])
def test_where_ray_reads_no_file_none_is_made(path, environment):
    assert keep_to_owner(environment) == ""
    assert not path.exists()


def test_a_ray_without_tokens_is_a_fault():
    assert faults({"RAY_AUTH_MODE": "disabled"}) == ["RAY_AUTH_MODE lets everybody in who reaches Ray"]
    assert faults({"RAY_AUTH_TOKEN": "x"}) == []
    assert len(faults({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "x"})) == 1


def test_the_token_comes_from_the_variable_then_the_named_file_then_rays_own(tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("own\n")
    (tmp_path / "named").write_text("named")
    named = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "named")}
    assert token_of({}, tmp_path) == "own"
    assert token_of(named, tmp_path) == "named"
    assert token_of({**named, "RAY_AUTH_TOKEN": "direct"}, tmp_path) == "direct"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no token: "), (b" \n", "is empty"), (b"two words", "one word"), (b"\xff\xfe", "cannot be read")],
)
def test_a_token_that_is_missing_or_broken_is_refused_and_never_shown(tmp_path, content, said):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ContractError, match=said) as refused:
        token_of({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}, tmp_path)
    assert "two words" not in str(refused.value)
