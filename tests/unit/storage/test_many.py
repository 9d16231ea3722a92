"""Many objects at once: in order, bounded, and never past a failure."""

import threading

import pytest

from kalshi_platform.storage.many import PARALLEL, Writer, each
from kalshi_platform.storage.storage import Storage, open_storage


class SlowPlace:
    """A bucket that counts the requests inside at once; the first wait until ``crowd`` of them are."""

    def __init__(self, crowd=1, broken=""):
        self.files, self.most, self.broken = {}, 0, broken
        self._inside, self._lock = 0, threading.Lock()
        self._crowd, self._was_crowded = crowd, threading.Event()

    def write(self, path, data):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            if self.most >= self._crowd:
                self._was_crowded.set()
        assert self._was_crowded.wait(timeout=60)
        with self._lock:
            self._inside -= 1
        if path == self.broken:
            raise ValueError(path)
        self.files[path] = bytes(data)


def bucket(**how):
    place = SlowPlace(**how)
    return Storage("s3://bucket/set", place), place


def test_results_come_in_order_and_requests_wait_together():
    storage, _ = bucket()
    barrier = threading.Barrier(4)

    def ask(item):
        barrier.wait(timeout=60)  # four at once, else nobody passes
        return item * item

    assert list(each(storage, ask, range(40))) == [item * item for item in range(40)]


def test_no_more_is_asked_than_the_caller_can_take(tmp_path):
    storage, _ = bucket()
    asked = []
    found = each(storage, lambda item: asked.append(item) or item, range(1_000))
    assert next(found) == 0
    assert len(asked) <= 2 * PARALLEL + 1
    found.close()
    assert len(asked) <= 2 * PARALLEL + 1


def test_the_first_failure_is_raised_and_the_rest_is_dropped():
    storage, _ = bucket()

    def ask(item):
        if item == 3:
            raise KeyError(item)
        return item

    with pytest.raises(KeyError, match="3"):
        list(each(storage, ask, range(1_000)))


def test_a_folder_is_asked_one_after_the_other_by_the_caller(tmp_path):
    found = each(open_storage(tmp_path), lambda item: threading.current_thread(), range(3))
    assert set(found) == {threading.current_thread()}


def test_files_are_written_side_by_side_and_all_of_them_by_the_end_of_the_block():
    storage, place = bucket(crowd=4)
    with Writer(storage) as writer:
        for k in range(64):
            writer.write(f"f{k}", b"x")
    assert len(place.files) == 64
    assert 4 <= place.most <= PARALLEL


def test_a_file_that_cannot_be_written_fails_the_block():
    storage, _ = bucket(broken="f2")

    def write():
        with Writer(storage) as writer:
            for k in range(4):
                writer.write(f"f{k}", b"x")

    with pytest.raises(ValueError, match="f2"):
        write()


def test_in_a_folder_a_file_is_there_at_once(tmp_path):
    with Writer(open_storage(tmp_path)) as writer:
        writer.write("a/b", b"x")
        assert (tmp_path / "a" / "b").read_bytes() == b"x"
