"""The note of an account's newest journal: absent, written, not to be read."""

import os

import pytest

from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import DataError, StorageError
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
    with pytest.raises(DataError, match="is damaged"):
        newest_journal(ACCOUNT)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("http://127.0.0.1:8080/v2", "localhost:8080"),
        ("http://localhost:8080/v2", "localhost:8080"),
        ("http://[::1]:8080/v2", "::1:8080"),
        ("https://external-api.demo.kalshi.co/v2", "demo-api.kalshi.co"),
        ("https://demo-api.kalshi.co/v2", "demo-api.kalshi.co"),
    ],
)
def test_a_file_of_a_former_spelling_is_found_until_another_journal_is_named(tmp_path, now, before):
    account, old = AccountName("k", now), NewestJournal(tmp_path / "old", "kp-1")
    former = note_place(account).parents[1] / digest_of(["k", before]) / "journal"
    former.parent.mkdir(parents=True)
    former.write_bytes(bytes(old.path) + b"\n" + old.name.encode())
    assert (newest_journal(account), note_place(account)) == (old, former)
    note_newest(account, old)
    new = NewestJournal(tmp_path / "new", "kp-2")
    os.utime(former, (2**33, 2**33))  # a clock was wrong once
    note_newest(account, new)
    assert newest_journal(account) == new
    assert not former.exists()


def test_of_two_spellings_the_file_that_was_written_last_counts(tmp_path):
    account = AccountName("k", "http://127.0.0.1:8080/v2")
    note_newest(account, NewestJournal(tmp_path / "usual", "kp-1"))
    os.utime(note_place(account), (1_000, 1_000))
    former = note_place(account).parents[1] / digest_of(["k", "localhost:8080"]) / "journal"
    former.parent.mkdir(parents=True)
    former.write_bytes(bytes(tmp_path / "late") + b"\nkp-2")
    assert newest_journal(account) == (tmp_path / "late", "kp-2")
    os.utime(former, (999, 999))
    assert newest_journal(account) == (tmp_path / "usual", "kp-1")
