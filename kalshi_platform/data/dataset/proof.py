"""Proof that a file in a dataset's folder is the dataset's: its content has the digest that is noted for it.

Why      a manifest is a text that anybody may have changed, and its paths may lead through links. A file
         that is deleted by its word must be the one it describes: own notes, or a file elsewhere, are not.
"""

import hashlib
from collections.abc import Iterable

from kalshi_platform.data.dataset.entry import Shard
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.storage.many import each
from kalshi_platform.storage.storage import Storage


def proven(storage: Storage, shards: Iterable[Shard]) -> set[str]:
    """Paths of those ``shards`` whose file has the noted size and sha256; each is read, sizes first."""
    sizes = {file.path: file.n_bytes for file in storage.list_files()}  # links to folders are not followed
    there = [s for s in set(shards) if s.path != MANIFEST_NAME and sizes.get(s.path) == s.n_bytes]

    def own(shard: Shard) -> str | None:
        digest = hashlib.sha256(storage.read_bytes(shard.path)).hexdigest()
        return shard.path if digest == shard.sha256 else None

    return {path for path in each(storage, own, there) if path is not None}
