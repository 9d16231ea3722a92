"""The note of an account's newest journal: absent, written, not to be read."""

import os

import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.newest import (
    NewestJournal,
    newest_journal,
    note_newest,
    note_place,
)

ACCOUNT = AccountName("k", "https://a.test/v2")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))


def test_it_is_none_at_first_and_then_the_last_that_was_noted(tmp_path):
    assert newest_journal(ACCOUNT) is None
    for name in ("one", "two two", "three\nlines"):
        found = NewestJournal(tmp_path / name, "kp-1")
        note_newest(ACCOUNT, found)
        assert newest_journal(ACCOUNT) == found
    assert newest_journal(AccountName("other", ACCOUNT.url)) is None


def test_one_that_cannot_be_read_or_written_is_refused_by_its_name(tmp_path):
    place = note_place(ACCOUNT)
    place.mkdir(parents=True)
    for work in (
        lambda: newest_journal(ACCOUNT),
        lambda: note_newest(ACCOUNT, NewestJournal(tmp_path, "kp-1")),
    ):
        with pytest.raises(StorageError, match="newest journal"):
            work()


def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path):
    found = NewestJournal(tmp_path / os.fsdecode(b"f\xff"), "kp-1")
    note_newest(ACCOUNT, found)
    assert newest_journal(ACCOUNT) == found


def test_a_note_without_a_name_is_damaged(tmp_path):
    note_newest(ACCOUNT, NewestJournal(tmp_path, "kp-1"))
    note_place(ACCOUNT).write_text("half")
    with pytest.raises(StorageError, match="is damaged"):
        newest_journal(ACCOUNT)
