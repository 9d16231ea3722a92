"""Files in a local folder or in an S3-compatible bucket, through one class.

Owns       addresses, and the message to the user when an operation fails.
Waits      for a bucket that fails for a while (``patience.py``); a local disk gets one try.
Addresses  ``/data/set``, ``file:///data/set`` or ``s3://bucket/prefix``; paths below it are relative.
S3         endpoint and keys come from the usual AWS variables, files and roles; keys never leave the process:
           a Storage is pickled as its address, messages are redacted.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.domain.hidden_user import shown_address, without_users
from kalshi_platform.domain.places import expanded
from kalshi_platform.storage.bucket import Bucket
from kalshi_platform.storage.contract import StoreAwayError, StoredFile, StoreFailedError
from kalshi_platform.storage.folder import Folder
from kalshi_platform.storage.patience import PATIENCE_VARIABLE, Patience, wanted_patience_s

_T = TypeVar("_T")
_BUCKET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Storage:
    """Files below one root; every failure is a StorageError naming the address, the reason and a remedy."""

    def __init__(self, uri: str, place: Folder | Bucket, patience: Patience | None = None) -> None:
        self.uri = uri
        self._place = place
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
        return self._do("look up", path, lambda: self._place.exists(path))

    def read_bytes(self, path: str) -> pa.Buffer:
        """The whole file as a buffer (``bytes()`` of it copies)."""
        return self._do("read", path, lambda: self._place.read(path))

    def read_mapped(self, path: str) -> pa.Buffer:
        """The whole file as a buffer: a memory map where it is local, else its bytes."""
        place = self._place
        return self._do(
            "read", path, lambda: place.map(path) if isinstance(place, Folder) else place.read(path)
        )

    def write_bytes_atomic(self, path: str, data: bytes | pa.Buffer) -> None:
        """Write ``data`` so that a reader sees the old file or the new one, whole, whatever happens.

        Locally the name becomes durable with :meth:`sync_folders`; in a bucket a write is one PUT.
        """
        self._do("write", path, lambda: self._place.write(path, data))

    def create_exclusive(self, path: str, data: bytes) -> bool:
        """Write ``data`` if ``path`` is free; return False, and write nothing, if a file is there already.

        Where several processes or machines create one path at once, exactly one of them gets True, and nobody
        ever sees half a file. A bucket must honour ``If-None-Match: *``, as AWS S3 and MinIO do;
        :meth:`Bucket.create` says what happens when an answer is lost on the way.
        """
        return self._do("create", path, lambda: self._place.create(path, data))

    def sync_folders(self, paths: Iterable[str]) -> None:
        """Sync the names of ``paths`` to the disk, so that earlier writes survive a power cut.

        This costs one sync a folder instead of one a file. The bytes are on the disk already; in a bucket a
        finished write is durable.
        """
        if isinstance(self._place, Folder):
            place, named = self._place, [self._inside(path) for path in paths]
            self._do("sync", "", lambda: place.sync_folders(named))

    def list_files(self, prefix: str = "") -> list[StoredFile]:
        """Files at any depth below the folder ``prefix``, sorted by path; empty where there is none."""
        return sorted(self._do("list", prefix, lambda: self._place.list(prefix)))

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens where it is absent."""
        self._do("delete", path, lambda: self._place.delete(path))

    def _inside(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ContractError(f"path {path!r} leaves {self.uri}: give one relative to it")
        _require_name(path)
        return path

    def _do(self, verb: str, path: str, operation: Callable[[], _T]) -> _T:
        """Result of ``operation()``, repeated while a bucket is away; StorageError if it fails for good."""
        self._inside(path)
        try:
            return self._patience.call(operation, f"{verb} {self.address(path)}")
        except StoreFailedError as err:
            waited = f", waited {self._patience.limit_s:g} s ({PATIENCE_VARIABLE})"
            reason = err.reason + (waited if isinstance(err, StoreAwayError) else "")
            raise StorageError(f"cannot {verb} {self.address(path)}: {reason}; {err.remedy}") from None


def open_storage(uri: str | Path, patience_s: float | None = None) -> Storage:
    """Open the storage at a folder or ``s3://bucket/prefix``; this creates and contacts nothing yet.

    ``patience_s``: seconds that one operation waits for a bucket that fails; None = the environment's limit.
    Raises ContractError for an address of another kind.
    """
    text = str(uri)
    scheme, separator, _ = text.partition("://")
    shown = shown_value(shown_address(text), 200)
    if not separator and text[:3].lower() == "s3:":
        raise ContractError(f"storage address {shown}: give s3://bucket/prefix, with two slashes")
    if not separator:
        return _open_local(text)
    if scheme == "file":
        return _open_local(unquote(urlsplit(text).path))
    if scheme == "s3":
        return _open_s3(text, wanted_patience_s() if patience_s is None else patience_s)
    raise ContractError(
        f"storage address {shown}: scheme {shown_value(scheme)} is unknown; "
        "give a folder or s3://bucket/prefix"
    )


def _require_name(text: str) -> None:
    """Raise ContractError for text that the system takes for no name: others write manifests and settings."""
    try:
        is_name = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_name = False
    if not is_name:
        raise ContractError(f"path {shown_value(text)} holds a character that no name of a file can have")


def _open_local(folder: str) -> Storage:
    if not folder:
        raise ContractError("storage address is empty; give a folder or s3://bucket/prefix")
    _require_name(folder)
    root = expanded(folder).absolute()
    return Storage(str(root), Folder(root))


def _open_s3(uri: str, limit_s: float) -> Storage:
    parts = urlsplit(uri)
    if "@" in parts.netloc or parts.query:
        raise ContractError(
            "storage address s3://...: keys and options do not belong into the address; "
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    if not _BUCKET_NAME.fullmatch(parts.netloc):
        raise ContractError(f"storage address {_without_bucket(uri, parts.netloc)}; give s3://bucket/prefix")
    prefix = parts.path.strip("/")
    address = f"s3://{parts.netloc}/{prefix}".rstrip("/")
    return Storage(address, Bucket(parts.netloc, prefix), Patience(limit_s))


def _without_bucket(uri: str, name: str) -> str:
    """``uri``, whose ``name`` is no bucket's, and why; what may be a key and its secret is not repeated."""
    before_host = uri.partition("://")[2].rpartition("@")[0]
    if not name or ":" in before_host:
        return f"{shown_value(shown_address(uri), 200)}: no bucket name"
    rule = "3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends"
    return f"{shown_value(without_users(uri), 200)}: {shown_value(name)} is no bucket name ({rule})"
