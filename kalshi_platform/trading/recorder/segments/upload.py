"""Upload of sealed segments to a folder or bucket: resumable, and only then is anything deleted here.

Order      the segment, then its seal: a seal that is there says that its segment is, whole.
Resumable  what is missing is found by listing the seals there; nothing is remembered between runs.
Deleted    a segment whose seal is there, ``keep_s`` after its last line. Seals stay, so that a start knows
           the last time that was acknowledged. Files of facts are uploaded again when they grew, and stay.
Away       a bucket that does not answer is waited for (storage/patience.py), then tried again at the next
           look; recording goes on, and the backlog grows on the disk that the disk guard watches.
"""

import threading
import time
from pathlib import Path
from typing import NamedTuple

from kalshi_platform.domain.errors import PlatformError, StorageError
from kalshi_platform.storage.storage import Storage
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SEALS, Seal, read_seals, verify

#: Folders of files that grow: facts and back-filled rows.
GROWING = ("facts", "trades", "candles")


class Backlog(NamedTuple):
    """Sealed segments that are not uploaded yet."""

    segments: int
    n_bytes: int
    oldest_ns: int | None  # last line of the oldest one


class Uploader:
    """Uploads one recording; every call does what is left to do."""

    def __init__(self, out: Path, store: Storage, keep_s: float) -> None:
        """``keep_s``: seconds that an uploaded segment stays on this disk, counted from its last line."""
        self._out, self._store, self._keep_s = out, store, keep_s
        self._there: set[str] | None = None  # segments whose seal is in the store
        self._sizes: dict[str, int] = {}  # growing file -> bytes uploaded
        self.uploaded_bytes = 0
        self.failure: str | None = None  # of the last look

    def look(self, now_ns: int | None = None) -> Backlog:
        """Upload whatever is missing and delete what may go; the backlog that is left.

        A failing store ends the look, is kept as ``failure`` and raises nothing. ChecksumError where a
        segment here is not what its seal says: it is not uploaded.
        """
        self.failure = None
        try:
            self._upload()
        except StorageError as err:
            self.failure = str(err)
        self._delete(time.time_ns() if now_ns is None else now_ns)
        return self.backlog()

    def backlog(self) -> Backlog:
        """Sealed segments that are not in the store, as far as is known."""
        left = [s for s in read_seals(self._out) if s.segment not in (self._there or ())]
        return Backlog(len(left), sum(s.n_bytes for s in left), min((s.last_ns for s in left), default=None))

    def _upload(self) -> None:
        """Upload segments in order, then files that grew."""
        if self._there is None:
            found = self._store.list_files(SEALS)
            self._there = {f.path.rpartition("/")[2].removesuffix(".json") for f in found}
        for seal in read_seals(self._out):
            if seal.segment not in self._there:
                self._send(seal)
                self._there.add(seal.segment)
        for folder in GROWING:
            for path in sorted((self._out / folder).glob("*.jsonl")):
                name, size = f"{folder}/{path.name}", path.stat().st_size
                if self._sizes.get(name) != size:
                    self._store.write_bytes_atomic(name, path.read_bytes())
                    self._sizes[name] = size

    def _send(self, seal: Seal) -> None:
        """Upload one segment and then its seal."""
        verify(self._out, seal)
        name = f"{FRAMES}/{seal.segment}"
        self._store.write_bytes_atomic(name, (self._out / FRAMES / seal.segment).read_bytes())
        self._store.sync_folders([name])
        seal_name = f"{SEALS}/{seal.segment}.json"
        self._store.write_bytes_atomic(seal_name, (self._out / seal_name).read_bytes())
        self._store.sync_folders([seal_name])
        self.uploaded_bytes += seal.n_bytes

    def _delete(self, now_ns: int) -> None:
        """Delete uploaded segments that were kept long enough."""
        for seal in read_seals(self._out):
            old = now_ns - seal.last_ns >= self._keep_s * 1e9
            if old and seal.segment in (self._there or ()):
                (self._out / FRAMES / seal.segment).unlink(missing_ok=True)


class UploadThread:
    """Looks every few seconds, on a thread of its own: a bucket that is away never holds up the recorder."""

    def __init__(self, uploader: Uploader, every_s: float) -> None:
        self.uploader = uploader
        self.backlog = uploader.backlog()
        self.error: str | None = None  # that ended a look and is not the store's
        self._every_s = every_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="upload", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Look a last time, for ``timeout_s`` at most; what is left is uploaded by the next run."""
        self._closing.set()
        self._thread.join(timeout_s)

    def _look_on(self) -> None:
        """Look until the thread is closed, and once more then."""
        is_last = False
        while not is_last:
            is_last = self._closing.wait(self._every_s)
            try:
                self.backlog = self.uploader.look()
                self.error = self.uploader.failure
            except (PlatformError, OSError) as err:
                self.error = str(err)
