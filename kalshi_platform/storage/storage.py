"""Files in a local folder or in an S3-compatible bucket, through one class.

Owns       where bytes lie, that a write is all or nothing, and what the user is told when it fails.
Waits      a bucket that fails for a while is asked again (``storage/patience.py``); a local disk is not.
Addresses  ``/data/set``, ``file:///data/set`` or ``s3://bucket/prefix``; paths below it are relative.
S3         endpoint and keys come from the usual AWS variables (or the AWS files and roles pyarrow knows);
           keys never leave the process: a Storage is pickled as its address, messages are redacted.
"""

import contextlib
import errno
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.storage.patience import PATIENCE_VARIABLE, Patience, is_transient, wanted_patience_s
from kalshi_platform.storage.put_if_absent import put_if_absent

_T = TypeVar("_T")
_PARTIAL: Final = re.compile(r"\.[^/]+\.\d+\.partial")
_CONNECT_TIMEOUT_S: Final = 3.0
_MAX_ATTEMPTS: Final = 3
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")

_LOCAL_REMEDIES: Final = {
    errno.ENOSPC: "disk full: free some space and repeat",
    errno.EDQUOT: "quota used up: free some space and repeat",
    errno.EFBIG: "larger than the file size limit of this process or file system (ulimit -f)",
    errno.EACCES: "no permission: choose another folder or change its owner",
    errno.EPERM: "no permission: choose another folder or change its owner",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOENT: "it does not exist: check the address",
    errno.ENOTDIR: "a part of the path is a file, not a folder: check the address",
    errno.EEXIST: "a part of the path is a file, not a folder: check the address",
    errno.EISDIR: "it is a folder, not a file: check the address",
}
_S3_REMEDIES: Final = (
    ("NO_SUCH_BUCKET", "create the bucket or check its name"),
    ("NETWORK_CONNECTION", "check AWS_ENDPOINT_URL and that the store is running and reachable"),
    ("ACCESS_DENIED", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy"),
    ("INVALID_ACCESS_KEY_ID", "check AWS_ACCESS_KEY_ID"),
    ("SIGNATURE_DOES_NOT_MATCH", "check AWS_SECRET_ACCESS_KEY and AWS_REGION"),
    ("INVALID_SIGNATURE", "check AWS_SECRET_ACCESS_KEY and AWS_REGION"),
    ("EXPIRED", "fetch new credentials: AWS_SESSION_TOKEN has run out"),
    ("SLOW_DOWN", "the store is overloaded: repeat later or with fewer workers"),
)
_S3_ADVICE: Final = "check AWS_ENDPOINT_URL, the AWS keys and the bucket's policy"


class StoredFile(NamedTuple):
    """A file below a storage's root."""

    path: str
    n_bytes: int


class Storage:
    """Files below one root; every failure is a StorageError naming the address, the reason and a remedy."""

    def __init__(
        self, uri: str, filesystem: fs.FileSystem, root: str, is_local: bool, patience: Patience | None = None
    ) -> None:
        self.uri = uri
        self.is_local = is_local
        self._fs = filesystem
        self._root = root
        self._patience = patience or Patience(0.0)

    def __reduce__(self) -> tuple[Any, ...]:
        # By address: another process takes the keys from its own environment.
        return open_storage, (self.uri, self._patience.limit_s)

    def __repr__(self) -> str:
        return f"Storage({self.uri!r})"

    def address(self, path: str) -> str:
        """``path`` as a user would write it."""
        return f"{self.uri}/{path}" if path else self.uri

    def exists(self, path: str) -> bool:
        """True where ``path`` is a file."""
        full = self._full(path)
        return self._do("look up", path, lambda: bool(self._fs.get_file_info(full).type == fs.FileType.File))

    def read_bytes(self, path: str) -> pa.Buffer:
        """The whole file as a buffer (``bytes()`` of it copies)."""
        full = self._full(path)

        def read() -> pa.Buffer:
            with self._fs.open_input_file(full) as file:
                return file.read_buffer()

        return self._do("read", path, read)

    def read_mapped(self, path: str) -> pa.Buffer:
        """The whole file as a buffer: a memory map where it is local, else its bytes."""
        if not self.is_local:
            return self.read_bytes(path)
        with self.open_input(path) as file:
            return file.read_buffer()

    def open_input(self, path: str) -> pa.NativeFile:
        """Random access to a file, memory-mapped where it is local; the caller closes it.

        Only the opening waits for a store that fails; reads of the file are the caller's.
        """
        full = self._full(path)
        opens = pa.memory_map if self.is_local else self._fs.open_input_file
        return self._do("read", path, lambda: opens(full))

    def write_bytes_atomic(self, path: str, data: bytes | pa.Buffer) -> None:
        """Write ``data`` so that a reader sees the old file or the new one, whole, whatever happens.

        Locally: a ``.partial`` file, synced, then renamed (see :meth:`sync_folders`). In a bucket: one PUT
        (a multi-part upload above 10 MB), which becomes visible only when it is complete.
        """
        full = self._full(path)

        def write() -> None:
            if self.is_local:
                _write_local(Path(full), data)
            else:
                with self._fs.open_output_stream(full) as stream:
                    stream.write(data)

        self._do("write", path, write)

    def create_exclusive(self, path: str, data: bytes) -> bool:
        """Write ``data`` where no file is; False, and nothing written, where there is one already.

        Of several processes or machines that create one path at once exactly one is told True, and nobody
        ever sees half a file. Locally a synced ``.partial`` file is linked to its name; in a bucket the
        PUT carries ``If-None-Match: *`` (AWS S3 and MinIO honour it; see put_if_absent for a lost answer).
        """
        full = self._full(path)

        def create() -> bool:
            if self.is_local:
                return _create_local(Path(full), data)
            return put_if_absent(
                self._root, path, data,
                endpoint=_endpoint(), region=_region(), timeout_s=_CONNECT_TIMEOUT_S,
            )  # fmt: skip

        return self._do("create", path, create)

    def sync_folders(self, paths: Iterable[str]) -> None:
        """Make earlier writes of ``paths`` survive a power cut: their names, as their bytes already do.

        One sync a folder instead of one a file; in a bucket a finished write is durable.
        """
        if self.is_local:
            for folder in sorted({os.path.dirname(path) for path in paths}):
                self._do("sync", folder, partial(_sync_folder, self._full(folder)))

    def list_files(self, prefix: str = "") -> list[StoredFile]:
        """Files at any depth below the folder ``prefix``, sorted by path; empty where there is none."""
        selector = fs.FileSelector(self._full(prefix), recursive=True, allow_not_found=True)

        def look() -> list[fs.FileInfo]:
            self._require_bucket()
            return self._fs.get_file_info(selector)

        cut = len(self._root) + 1
        found = self._do("list", prefix, look)
        return sorted(StoredFile(f.path[cut:], f.size) for f in found if f.type == fs.FileType.File)

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens where it is absent."""
        full = self._full(path)

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.delete_file(full)

        self._do("delete", path, remove)

    def _full(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ContractError(f"path {path!r} leaves {self.uri}: give one relative to it")
        return f"{self._root}/{path}" if path else self._root

    def _require_bucket(self) -> None:
        # pyarrow lists a missing bucket as an empty one.
        if not self.is_local:
            bucket = self._root.split("/", 1)[0]
            if self._fs.get_file_info(bucket).type == fs.FileType.NotFound:
                raise OSError(f"NO_SUCH_BUCKET: there is no bucket {bucket!r} at {_endpoint_name()}")

    def _do(self, verb: str, path: str, operation: Callable[[], _T]) -> _T:
        """``operation()``, repeated while a bucket's failure is transient; every other one is refused."""
        try:
            return self._patience.call(operation, f"{verb} {self.address(path)}")
        except (OSError, pa.ArrowException) as err:
            self._refuse(verb, path, err)

    def _refuse(self, verb: str, path: str, err: Exception) -> NoReturn:
        reason = _redact(str(err))
        if self.is_local:
            number = _errno_of(err)
            remedy = _LOCAL_REMEDIES.get(number or 0, "check the folder and the disk")
            reason = os.strerror(number) if number else reason
        elif isinstance(err, FileNotFoundError):
            remedy, reason = "check the address", "there is no such object"
        else:
            remedy = next((text for mark, text in _S3_REMEDIES if mark in reason.upper()), _S3_ADVICE)
            reason = f"{reason} (endpoint {_endpoint_name()})"
            if is_transient(err):
                reason += f", waited {self._patience.limit_s:g} s ({PATIENCE_VARIABLE})"
        raise StorageError(f"cannot {verb} {self.address(path)}: {reason}; {remedy}") from None


def is_leftover(path: str) -> bool:
    """True for the unfinished file of a killed write; delete it only where nobody writes."""
    return _PARTIAL.fullmatch(path.rsplit("/", 1)[-1]) is not None


def open_storage(uri: str | Path, patience_s: float | None = None) -> Storage:
    """The storage at a folder or ``s3://bucket/prefix``; nothing is created or contacted yet.

    ``patience_s``: how long one operation waits for a bucket that fails; None = the environment's.
    Raises ContractError for an address of another kind.
    """
    text = str(uri)
    scheme, separator, _ = text.partition("://")
    if not separator:
        return _open_local(text)
    if scheme == "file":
        return _open_local(unquote(urlsplit(text).path))
    if scheme == "s3":
        return _open_s3(text, wanted_patience_s() if patience_s is None else patience_s)
    raise ContractError(
        f"storage address {text!r}: scheme {scheme!r} is unknown; give a folder or s3://bucket/prefix"
    )


def _open_local(folder: str) -> Storage:
    if not folder:
        raise ContractError("storage address is empty; give a folder or s3://bucket/prefix")
    root = Path(folder).expanduser().absolute()
    return Storage(str(root), fs.LocalFileSystem(), str(root), is_local=True)


def _open_s3(uri: str, limit_s: float) -> Storage:
    parts = urlsplit(uri)
    if "@" in parts.netloc or parts.query:
        raise ContractError(
            "storage address s3://...: keys and options do not belong into the address; "
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise ContractError(
            f"storage address {uri!r}: {parts.netloc!r} is no bucket name; give s3://bucket/prefix"
        )
    root = f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/")
    options: dict[str, Any] = {
        "region": _region(),
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=_MAX_ATTEMPTS),
        # Together: a shard below 10 MB is one PUT instead of a three-request multi-part upload.
        "background_writes": False,
        "allow_delayed_open": True,
    }
    if endpoint := _endpoint():
        split = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        options |= {"endpoint_override": split.netloc + split.path.rstrip("/"), "scheme": split.scheme}
    if key := os.environ.get("AWS_ACCESS_KEY_ID"):
        options |= {"access_key": key, "secret_key": os.environ.get("AWS_SECRET_ACCESS_KEY", "")}
        if token := os.environ.get("AWS_SESSION_TOKEN"):
            options["session_token"] = token
    try:
        filesystem = fs.S3FileSystem(**options)
    except (OSError, ValueError, pa.ArrowException) as err:
        raise StorageError(f"cannot open s3://{root}: {_redact(str(err))}; {_S3_ADVICE}") from None
    return Storage(f"s3://{root}", filesystem, root, is_local=False, patience=Patience(limit_s))


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint_name() -> str:
    endpoint = _endpoint()
    return endpoint.rsplit("@", 1)[-1] if endpoint else "AWS"


def _redact(text: str) -> str:
    for name in _SECRET_VARIABLES:
        if value := os.environ.get(name):
            text = text.replace(value, f"<{name}>")
    return text


def _errno_of(err: Exception) -> int | None:
    if isinstance(err, OSError) and err.errno:
        return err.errno
    found = re.search(r"\[errno (\d+)\]", str(err), re.IGNORECASE)
    return int(found.group(1)) if found else None


def _write_local(target: Path, data: bytes | pa.Buffer) -> None:
    with _partial_of(target, data) as partial:
        os.replace(partial, target)


def _create_local(target: Path, data: bytes) -> bool:
    with _partial_of(target, data) as partial:
        try:
            # A link fails where its name is taken, a rename would replace it.
            os.link(partial, target)
        except FileExistsError:
            return False
        finally:
            partial.unlink()
    _sync_folder(str(target.parent))
    return True


@contextlib.contextmanager
def _partial_of(target: Path, data: bytes | pa.Buffer) -> Iterator[Path]:
    """A synced file beside ``target`` that holds ``data``; removed where anything fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}{threading.get_native_id()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
