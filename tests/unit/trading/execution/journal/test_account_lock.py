"""One process trades an account, whatever its folder and its home."""

import os
import sys

import pytest
from made.execution import ACCOUNT

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.execution.journal import account_lock
from kalshi_platform.trading.execution.journal.account_lock import holding
from kalshi_platform.trading.execution.journal.account_name import AccountName


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("moved", ["nothing", "folder", "home"])
def test_a_second_session_is_refused_by_the_number_of_the_first(tmp_path, monkeypatch, moved):
    if moved == "home" and sys.platform != "linux":
        pytest.skip("only Linux has names of the whole machine")
    with holding(ACCOUNT, tmp_path / "a"):
        if moved == "home":
            monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "another"))
        folder = tmp_path / ("a" if moved == "nothing" else "b")
        with pytest.raises(ContractError, match=rf"process {os.getpid()}.*one process at a time") as told:
            holding(ACCOUNT, folder).__enter__()
        assert len(str(told.value)) < 500
    with holding(ACCOUNT, folder):
        pass


def test_the_folder_and_the_home_hold_where_the_system_has_no_such_names(tmp_path, monkeypatch):
    monkeypatch.setattr(account_lock.sys, "platform", "darwin")
    with holding(ACCOUNT, tmp_path / "a"), pytest.raises(ContractError, match="one process at a time"):
        holding(ACCOUNT, tmp_path / "b").__enter__()


def test_another_account_is_free(tmp_path):
    with holding(ACCOUNT, tmp_path / "a"), holding(AccountName("another", ACCOUNT.url), tmp_path / "b"):
        pass
