"""The cache of opened datasets: limited, least recently used first, never a bank that somebody uses."""

import errno
import gc
import json
import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.simulation.replay import cache, on_demand
from kalshi_platform.storage import locks
from kalshi_platform.storage.sealed import seal

MB = 10**6


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "0.0025")  # 2.5 MB: two banks of 1 MB
    return tmp_path / "banks"


def megabyte(value: int) -> dict[str, np.ndarray]:
    return {"rows": np.full(MB // 2, value, np.uint8), "age": np.full(MB // 2, value, np.uint8)}


def store(key: str, used_s: float, value: int = 1) -> None:
    cache.store_arrays(key, megabyte(value))
    gc.collect()
    os.utime(cache.cache_folder() / key / "in_use.lock", (used_s, used_s))


def keys() -> list[str]:
    return [bank.key for bank in cache.banks()]


def test_what_is_stored_is_mapped_read_only_and_found_again():
    found = cache.store_arrays("a", megabyte(7))
    again = cache.open_arrays("a")
    assert again is not None
    assert found.keys() == again.keys() == {"rows", "age"}
    assert int(again["rows"].sum()) == 7 * MB // 2
    with pytest.raises(ValueError, match="read-only"):
        again["rows"][0] = 1
    assert cache.open_arrays("b") is None


def test_the_least_recently_used_bank_leaves_first(caplog):
    store("old", 100)
    store("older", 50)
    cache.open_arrays("older")  # opening is using: now it is the newer one
    gc.collect()
    with caplog.at_level(logging.WARNING):
        store("new", 200)
    assert sorted(keys()) == ["new", "older"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "1 banks and 0 leftovers" in line
    assert "0.001 GB freed" in line


def test_a_bank_whose_arrays_live_is_kept_until_the_last_one_is_gone(caplog):
    arrays = cache.store_arrays("held", megabyte(3))
    held = arrays["age"][10:20]  # a view is enough
    del arrays
    gc.collect()
    assert [bank.in_use for bank in cache.banks()] == [True]
    with caplog.at_level(logging.WARNING):
        store("b", 200)
        store("c", 300)
    assert sorted(keys()) == ["c", "held"]
    assert held.tolist() == [3] * 10
    assert cache.empty_cache()[::3] == (1, 1)  # one removed, one kept
    del held
    gc.collect()
    assert cache.empty_cache().banks == 1
    assert keys() == []


def test_a_bank_that_another_process_holds_is_not_evicted():
    store("theirs", 1)
    code = (
        "import sys\n"
        "from kalshi_platform.simulation.replay import cache\n"
        "arrays = cache.open_arrays('theirs')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(int(arrays['rows'].sum()), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        store("b", 200)
        store("c", 300)
        assert "theirs" in keys()
        assert cache.empty_cache().kept_in_use == 1
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == f"{MB // 2}\n"
    assert cache.empty_cache().banks == 1  # the process is gone, and its lock with it


def test_a_killed_process_leaves_no_lock():
    store("theirs", 1)
    code = (
        "import sys\n"
        "from kalshi_platform.simulation.replay import cache\n"
        "arrays = cache.open_arrays('theirs')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        other.kill()
    assert cache.empty_cache().banks == 1


def test_a_bank_evicted_between_opening_and_locking_is_not_mapped(monkeypatch):
    store("a", 1)
    flock = locks.fcntl.flock

    def evicted_first(handle: int, how: int) -> None:
        monkeypatch.setattr(locks.fcntl, "flock", flock)
        assert cache.empty_cache().banks == 1
        flock(handle, how)

    monkeypatch.setattr(locks.fcntl, "flock", evicted_first)
    assert cache.open_arrays("a") is None


def test_leftovers_of_killed_writers_are_removed_but_not_the_folder_of_a_living_one(folder):
    for name, age_s in ((".dead.1", 3_600), (".young.1", 0), (".writing.1", 3_600)):
        (folder / name).mkdir(parents=True)
        (folder / name / "rows.npy").write_bytes(bytes(1_000))
        (folder / name / "in_use.lock").touch()
        then = os.stat(folder).st_mtime - age_s
        os.utime(folder / name, (then, then))
    writing = os.open(folder / ".writing.1" / "in_use.lock", os.O_RDWR)
    locks.fcntl.flock(writing, locks.fcntl.LOCK_SH)
    done = cache.empty_cache()
    os.close(writing)
    assert (done.leftovers, done.freed_bytes) == (1, 1_000)
    assert sorted(path.name for path in folder.iterdir()) == [".writing.1", ".young.1"]


def test_a_failed_write_leaves_nothing(folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "save", full)
    with pytest.raises(StorageError, match=r"banks/a of 0\.001 GB: No space left on device; free room"):
        cache.store_arrays("a", megabyte(1))
    assert list(folder.iterdir()) == []


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


DAMAGE = {
    "one bit": (lambda bank: flipped(bank / "age.npy"), r"age\.npy has sha256"),
    "cut short": (lambda bank: os.truncate(bank / "rows.npy", 1_000), r"rows\.npy has 1000 bytes"),
    "empty": (lambda bank: os.truncate(bank / "rows.npy", 0), r"rows\.npy has 0 bytes"),
    "longer": (lambda bank: os.truncate(bank / "rows.npy", MB), r"rows\.npy has 1000000 bytes"),
    "missing": (lambda bank: (bank / "age.npy").unlink(), r"age\.npy is missing"),
    "added": (lambda bank: np.save(bank / "terms.npy", np.zeros(3)), r"terms\.npy is not named by"),
    "of an older version": (lambda bank: (bank / "manifest.json").unlink(), r"manifest\.json does not exist"),
    "manifest cut": (lambda bank: os.truncate(bank / "manifest.json", 50), r"manifest\.json is damaged"),
    "names nothing": (lambda bank: (bank / "manifest.json").write_text('{"sha256": {}}'), "names no file"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_bank_that_is_not_as_it_was_written_is_thrown_away_with_one_line(folder, caplog, name):
    store("a", 100, value=9)
    damage, says = DAMAGE[name]
    damage(folder / "a")
    with caplog.at_level(logging.WARNING):
        assert cache.open_arrays("a") is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.search(says, line)
    assert line.endswith("it is thrown away and built again from the dataset")
    assert list(folder.iterdir()) == []
    assert int(cache.store_arrays("a", megabyte(9))["age"].sum()) == 9 * MB // 2


def test_a_process_that_mapped_a_bank_keeps_its_pages_when_another_throws_the_bank_away(folder):
    held = cache.store_arrays("a", megabyte(5))
    (folder / "a" / "manifest.json").unlink()
    assert cache.open_arrays("a") is None
    assert int(held["rows"].sum()) == 5 * MB // 2
    assert int(cache.store_arrays("a", megabyte(6))["rows"][0]) == 6


def test_the_bank_that_another_process_built_meanwhile_is_not_thrown_away(folder, monkeypatch):
    store("a", 100)
    (folder / "a" / "manifest.json").unlink()
    check = cache.verify

    def rebuilt_meanwhile(*arguments, **keywords):
        monkeypatch.setattr(cache, "verify", check)
        assert cache.open_arrays("a") is None
        store("a", 200, value=8)
        raise DataError("as it was before")

    monkeypatch.setattr(cache, "verify", rebuilt_meanwhile)
    assert cache.open_arrays("a") is None
    again = cache.open_arrays("a")
    assert again is not None
    assert int(again["rows"][0]) == 8


def test_a_disk_that_does_not_keep_what_is_written_is_named_after_three_tries(folder, monkeypatch):
    written = []

    def forgets(path, known):
        written.append(path)
        seal(path, known)
        flipped(path / "rows.npy")

    monkeypatch.setattr(cache, "seal", forgets)
    with pytest.raises(StorageError, match="was written 3 times and never read back as written"):
        cache.store_arrays("a", megabyte(1))
    assert len(written) == 3
    assert list(folder.iterdir()) == []


def test_the_process_that_finished_first_wins():
    cache.store_arrays("a", megabyte(1))
    again = cache.store_arrays("a", megabyte(2))
    assert int(again["rows"][0]) == 1


BUILD = """
import logging, sys, time
from pathlib import Path
import numpy as np
from kalshi_platform.simulation.replay import cache
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
def write(folder):
    print("writing", flush=True)
    sys.stdin.readline()
    np.save(folder / "rows.npy", np.full(1_000, 7, np.uint8))
    return {}
arrays = cache.build_arrays("one", 1_000, write, "the train split of /data")
print("opened", int(arrays["rows"].sum()), flush=True)
"""


@pytest.mark.parametrize("end", ["done", "killed"])
def test_of_two_processes_one_builds_and_the_other_waits_for_it(folder, end):
    def start():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", BUILD], **pipes)

    with start() as first:
        assert first.stdout.readline() == "writing\n"
        with start() as second:
            told = second.stdout.readline()
            assert re.match(
                rf"the train split of /data \(bank one\) is being written by process {first.pid}: "
                "waiting until it is done\n",
                told,
            )
            if end == "killed":
                first.kill()
                assert second.stdout.readline() == "writing\n"
            else:
                first.stdin.write("\n")
                first.stdin.flush()
                assert first.stdout.readline() == "opened 7000\n"
            second.stdin.write("\n")
            second.stdin.flush()
            assert second.stdout.readline() == "opened 7000\n"  # without writing, unless the first was killed
    assert keys() == ["one"]


def test_a_bank_larger_than_the_limit_is_kept_and_said_to_be(monkeypatch, caplog):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "0.0001")
    with caplog.at_level(logging.WARNING):
        store("big", 1)
    assert keys() == ["big"]
    assert "above its limit" in caplog.text


@pytest.mark.parametrize("text", ["much", "0", "-3", "inf"])
def test_a_limit_that_is_no_size_is_refused(text, monkeypatch):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, text)
    with pytest.raises(ContractError, match=cache.LIMIT_VARIABLE):
        cache.limit_bytes()


def test_without_a_setting_the_limit_is_20_gb_or_a_tenth_of_the_disk(monkeypatch):
    monkeypatch.delenv(cache.LIMIT_VARIABLE)
    disk = cache.shutil.disk_usage(cache.cache_folder().parent)
    for total, limit in ((10**12, 20 * cache.GB), (50 * cache.GB, 5 * cache.GB)):
        usage = disk._replace(total=total)
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert cache.limit_bytes() == limit


def test_the_command_shows_and_empties():
    store("a", 1_700_000_000)
    shown = CliRunner().invoke(app, ["dataset", "cache"])
    assert "1 banks, 0.001 of 0.003 GB" in shown.stdout
    assert "2023-11-14" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["dataset", "cache", "--json"]).stdout)
    assert [bank["key"] for bank in found["banks"]] == ["a"]
    assert found["emptied"] is None
    emptied = json.loads(CliRunner().invoke(app, ["dataset", "cache", "--json", "--empty"]).stdout)
    assert emptied["emptied"]["banks"] == 1
    assert emptied["banks"] == []


def test_the_command_tells_of_banks_on_demand_whose_rows_no_listing_shows():
    def shown(*words: str) -> str:
        return CliRunner().invoke(app, ["dataset", "cache", *words]).stdout

    assert json.loads(shown("--json"))["open_on_demand"] == 0
    assert "on demand" not in shown()
    room = on_demand.Room()
    assert json.loads(shown("--json"))["open_on_demand"] == 1
    assert "open on demand: 1, each with rows on this disk" in shown()
    del room
    gc.collect()
    assert json.loads(shown("--json"))["open_on_demand"] == 0


def test_a_bank_that_leaves_while_its_size_is_asked_for_counts_nothing(folder):
    store("a", 100)
    assert cache._size(folder / "a") > MB
    assert cache._size(folder / "gone") == 0


def test_a_cache_that_cannot_be_used_is_named_with_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "file"))
    for limit in ("1", ""):
        monkeypatch.setenv(cache.LIMIT_VARIABLE, limit)
        with pytest.raises(StorageError, match=r"cannot use .*/file/.*: Not a directory; set KALSHI_PLATFO"):
            cache.store_arrays("a", megabyte(1))
    with pytest.raises(StorageError, match=r"cannot use .*/file/banks: Not a directory"):
        on_demand.fits(1)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_lock_that_cannot_be_made_is_named_with_the_variable(monkeypatch, number):
    store("a", 100)
    left_by_another = cache.made(cache.cache_folder().parent / "claims") / "b"
    left_by_another.touch()
    cache.made(on_demand._folder())

    def refuse(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(locks, "_open", refuse)
    remedy = "free room on its disk, or set" if number == errno.ENOSPC else "set"
    for use in (
        cache.banks,
        cache.empty_cache,
        on_demand.Room,
        lambda: cache.claimed_bytes(but=""),
        lambda: cache.claimed("c", 1, lambda n_bytes: True).__enter__(),
    ):
        with pytest.raises(StorageError, match=rf"cannot use .*: {os.strerror(number)}; {remedy} KALSHI_PLA"):
            use()


def test_a_turn_that_cannot_be_taken_is_named_with_the_variable(folder, monkeypatch):
    (folder.parent / "building" / "a" / ".lock").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot use .*/building/a: Is a directory; set KALSHI_PLATFORM"):
        cache.store_arrays("a", megabyte(1))


def test_a_limit_beyond_all_numbers_is_refused(monkeypatch):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "1e300")
    with pytest.raises(ContractError, match="KALSHI_PLATFORM_CACHE_GB='1e300' is no positive number of GB"):
        cache.limit_bytes()


def test_room_that_one_process_claims_is_not_given_to_another(folder):
    def fits(n_bytes: int) -> bool:
        return n_bytes <= 2 * MB

    with cache.claimed("a", MB, fits) as first, cache.claimed("b", MB, fits) as second:
        assert (first, second) == (True, True)
        with cache.claimed("c", 1, fits) as third, cache.claimed("a", MB, fits) as waits_for_the_first:
            assert (third, waits_for_the_first) == (False, True)
        cache.store_arrays("b", megabyte(1))  # now it is a bank, and counts as one
        assert cache.claimed_bytes(but="a") == 0
    assert cache.claimed_bytes(but="") == 0
