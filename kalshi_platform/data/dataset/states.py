"""States of a dataset that grows: the one before the present is kept, so that its readers can go on reading.

Owns      ``.states/<digest>.json``, the manifest of the state that the last growth replaced, and
          ``.states/<digest>.next``, the claim of a growth of that state, in a bucket only.
Claim     in a bucket the growth whose claim is written first is the only one that may replace the state, even
          where a lease was taken from a growth that was only suspended. A killed growth, repeated with the
          same files, finds its own claim.
"""

from contextlib import suppress
from pathlib import Path

from kalshi_platform.data.dataset.manifest import (
    STATES_FOLDER,
    Manifest,
    read_digest,
    state_path,
)
from kalshi_platform.data.dataset.proof import proven
from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.storage.storage import Storage


def keep_state(storage: Storage, manifest: Manifest) -> None:
    """Note the files of a state that is about to be replaced; they stay until the next growth."""
    storage.write_bytes_atomic(state_path(manifest.digest), manifest.to_bytes())


def forget_states(storage: Storage, keep: str | None = None) -> set[str]:
    """Delete the notes of all earlier states but ``keep`` (a digest); returns the proven files they named.

    A note that the storage cannot read now stays for the next growth: without it nobody knows its files. It
    must not fail what is in force already.
    """
    paths: set[str] = set()
    for file in storage.list_files(STATES_FOLDER):
        path = Path(file.path)
        if path.stem == keep and path.suffix == ".json":
            continue
        if path.suffix == ".json":
            try:
                with suppress(DataError):  # damaged or of another version: its files are nobody's, and stay
                    paths |= proven(storage, Manifest.read(storage, file.path).files())
            except StorageError:
                continue
        if path.suffix in (".json", ".next"):
            storage.delete(file.path)
    return paths


def claim_state(storage: Storage, old: Manifest, new: Manifest) -> None:
    """Make sure that nobody else replaces ``old``; ContractError where another growth came first."""
    if "://" in storage.uri:
        claim = f"{STATES_FOLDER}/{old.digest}.next"
        if not storage.create_exclusive(claim, new.digest.encode()):
            claimed = bytes(storage.read_bytes(claim)).decode()
            if claimed != new.digest:
                raise ContractError(
                    f"{storage.uri}: another --add is growing this state ({old.digest} to {claimed}): repeat "
                    f"this command when it has ended; if it was killed, repeat it first, or delete "
                    f"{storage.address(claim)}"
                )
    now = read_digest(storage)
    if now != old.digest:
        raise ContractError(
            f"{storage.uri} became {now} while files were added to {old.digest}: repeat this command"
        )
