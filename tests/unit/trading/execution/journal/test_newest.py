"""The note of an account's newest journal: absent, written, not to be read."""

import os

import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_newest, note_place

ACCOUNT = AccountName("k", "https://a.test/v2")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))


def test_it_is_none_at_first_and_then_the_last_that_was_noted(tmp_path, monkeypatch):
    assert newest_journal(ACCOUNT) is None
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two two"):
        note_newest(ACCOUNT, tmp_path / name)
        assert newest_journal(ACCOUNT) == tmp_path / name
    assert newest_journal(AccountName("other", ACCOUNT.url)) is None


def test_one_that_cannot_be_read_or_written_is_refused_by_its_name(tmp_path):
    place = note_place(ACCOUNT)
    place.mkdir(parents=True)
    for work in (lambda: newest_journal(ACCOUNT), lambda: note_newest(ACCOUNT, tmp_path / "one")):
        with pytest.raises(StorageError, match="newest journal"):
            work()


def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path):
    path = tmp_path / os.fsdecode(b"f\xff")
    note_newest(ACCOUNT, path)
    assert newest_journal(ACCOUNT) == path
