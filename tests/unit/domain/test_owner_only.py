"""Secrets in files: whole or absent, their owner's alone, and every way in for others is named."""

import os
import stat

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.owner_only import exposures, make_secret, narrow


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_for_its_owner_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "secret"
    assert make_secret(path, "first")
    assert not make_secret(path, "second")
    assert (path.read_text(), mode(path), mode(path.parent)) == ("first", 0o600, 0o700)
    assert [each.name for each in path.parent.iterdir()] == ["secret"]


def test_a_kill_before_the_end_leaves_no_empty_secret(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        make_secret(tmp_path / "secret", "text")
    assert list(tmp_path.iterdir()) == []


def test_others_who_read_the_file_or_replace_it_are_named_and_shut_out(tmp_path):
    path = tmp_path / "secret"
    make_secret(path, "x")
    assert exposures(path) == narrow(path, "") == []
    path.chmod(0o604)
    tmp_path.chmod(0o770)
    assert exposures(path) == [f"{path} has mode 0604", f"{tmp_path} has mode 0770"]
    assert narrow(path, "") == [path, tmp_path]
    assert (mode(path), mode(tmp_path), exposures(path)) == (0o600, 0o750, [])


def test_a_folder_such_as_tmp_stays_as_it_is(tmp_path):
    path = tmp_path / "secret"
    make_secret(path, "x")
    tmp_path.chmod(0o1777)
    assert exposures(path) == narrow(path, "") == []
    assert mode(tmp_path) == 0o1777
    tmp_path.chmod(0o700)


def test_a_file_of_another_user_is_named_and_refused_with_the_advice(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    make_secret(path, "x")
    owner = 54_321
    if os.getuid() == 0:
        os.chown(path, owner, -1)
    else:
        owner = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: 54_322)
    assert f"{path} belongs to user {owner}" in exposures(path)
    with pytest.raises(ContractError, match=f"secret belongs to user {owner}, remove it"):
        narrow(path, "remove it")


def test_a_file_that_is_not_there_exposes_nothing(tmp_path):
    assert exposures(tmp_path / "none" / "secret") == []
