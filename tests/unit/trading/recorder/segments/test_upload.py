"""Upload: resumable, a seal after its segment, and nothing is deleted that is not there."""

from made.pace import Within

from kalshi_platform.storage.storage import open_storage
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SEALS, read_seals, verify
from kalshi_platform.trading.recorder.segments.segment import LineBatch, Segment
from kalshi_platform.trading.recorder.segments.upload import Uploader, UploadThread

NOW = 1_795_400_000_000_000_000
S = 1_000_000_000


def segments(out, n: int) -> None:
    (out / FRAMES).mkdir(parents=True, exist_ok=True)
    for number in range(1, n + 1):
        segment = Segment(out, "run", number)
        line = b'{"recv_ns":%d,"mono_ns":0,"conn":1,"raw":"x"}\n' % (NOW + number * S)
        segment.commit(LineBatch(line, 1, 0, NOW + number * S, NOW + number * S))
        segment.seal()


class Away:
    """A store that fails from its n-th write on."""

    def __init__(self, place, good_writes: int) -> None:
        self.store, self.left, self.written = open_storage(place), good_writes, []

    def __getattr__(self, name):
        return getattr(self.store, name)

    def write_bytes_atomic(self, path, data):
        from kalshi_platform.domain.errors import StorageError

        if self.left == 0:
            raise StorageError("the bucket is away")
        self.left -= 1
        self.written.append(path)
        self.store.write_bytes_atomic(path, data)


def test_an_upload_that_broke_off_is_taken_up_where_it_ended(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    segments(here, 3)
    away = Away(there, 3)
    uploader = Uploader(here, away, keep_s=0)
    backlog = uploader.look(NOW + 100 * S)
    assert backlog.segments == 2  # the second segment lies there, its seal does not
    assert "away" in uploader.failure
    assert len(list((here / FRAMES).glob("*.zst"))) == 2
    second = Away(there, 10)
    assert Uploader(here, second, keep_s=0).look(NOW + 100 * S).segments == 0
    assert len(second.written) == 4  # two segments and two seals, nothing again
    for seal in read_seals(there):
        verify(there, seal)
    assert len(read_seals(there)) == 3
    assert list((here / FRAMES).glob("*.zst")) == []


def test_a_seal_is_uploaded_after_its_segment(tmp_path):
    segments(tmp_path / "here", 1)
    store = Away(tmp_path / "there", 10)
    Uploader(tmp_path / "here", store, keep_s=0).look()
    assert [path.partition("/")[0] for path in store.written] == [FRAMES, SEALS]


def test_an_uploaded_segment_stays_as_long_as_it_is_wanted(tmp_path):
    here = tmp_path / "here"
    segments(here, 2)  # last lines at 1 s and 2 s
    uploader = Uploader(here, open_storage(tmp_path / "there"), keep_s=10)
    uploader.look(NOW + 11 * S)
    assert [path.name for path in (here / FRAMES).iterdir()] == ["run-000002.jsonl.zst"]


def test_a_start_after_the_upload_knows_the_last_acknowledged_time(tmp_path):
    here = tmp_path / "here"
    segments(here, 2)
    Uploader(here, open_storage(tmp_path / "there"), keep_s=0).look()
    assert take_over(here).last_ns == NOW + 2 * S


def test_files_that_grow_are_uploaded_again(tmp_path):
    here = tmp_path / "here"
    segments(here, 1)
    (here / "facts").mkdir()
    facts = here / "facts" / "run.jsonl"
    facts.write_text("{}\n")
    uploader = Uploader(here, open_storage(tmp_path / "there"), keep_s=0)
    uploader.look()
    facts.write_text("{}\n{}\n")
    uploader.look()
    assert (tmp_path / "there" / "facts" / "run.jsonl").read_text() == "{}\n{}\n"


def test_the_thread_looks_a_last_time_when_it_is_closed(tmp_path):
    here = tmp_path / "here"
    segments(here, 1)
    thread = UploadThread(Uploader(here, open_storage(tmp_path / "there"), keep_s=1e9), every_s=3_600)
    assert thread.backlog.segments == 1
    with Within(5):
        thread.close(60)
    assert thread.backlog.segments == 0
