"""A run's folder kept in a store as well, so that the run survives the machine it runs on.

Owns       which files of a run travel, and in which order: a checkpoint travels once, into a folder that its
           content names, metrics in blocks of lines of which only the last one grows, other files when they
           change; ``mirror.json`` comes last and says what belongs together. Learning curves are made again
           from the metrics.
Writer     one process at a time: ``owner.json`` names it. A process that Ray has given up for lost may live a
           while on a machine that nobody reaches; it notices before its next push and ends.
Invariant  ``pull`` brings the whole run as it was after one of its iterations, whenever the machine was lost.
"""

import os
import re
import socket
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.learning.training.checkpoint import BEST, CHECKPOINTS, LATEST, new_checkpoint, point
from kalshi_platform.learning.training.curves import Curves
from kalshi_platform.learning.training.folder import CONFIG
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.storage.sealed import MANIFEST
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.storage.whole_file import write_whole

MIRROR_FILE: Final = "mirror.json"
OWNER_FILE: Final = "owner.json"
#: Lines of metrics in one object; a push writes the last object again, so its cost does not grow with a run.
LINES_A_BLOCK: Final = 256
_LOOSE: Final = (CONFIG, "run.json", "env.json")
_EARLIER: Final = (METRICS, "trial.json")  # that copies of earlier releases name as well
_CHECKPOINT: Final = re.compile(r"(best-)?\d+")


class Mirror:
    """Copy of one run below ``uri`` (a folder or s3://bucket/prefix)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._storage = open_storage(uri)
        self._token = ""
        self._checkpoints: dict[str, str] = {}  # in the store: name -> digest of its manifest
        self._files: dict[str, str] = {}  # in the store: path -> digest of what was sent

    def take(self) -> None:
        """Become the copy's only writer: a process that wrote it before is refused from now on."""
        self._token = uuid.uuid4().hex
        holder = f"process {os.getpid()} of {socket.gethostname()}"
        self._storage.write_bytes_atomic(
            OWNER_FILE, json_text({"token": self._token, "holder": holder}).encode()
        )
        self._checkpoints, self._files = dict(self._record().get("checkpoints", {})), {}

    def push(self, run: Path) -> None:
        """Bring the copy up to the run's last checkpoint; after a StorageError the copy is as it was.

        ContractError where another process has taken the copy over.
        """
        if not self._token:
            self.take()
        self._require_taken()
        links = {name: (run / name).resolve().name for name in (LATEST, BEST) if (run / name).exists()}
        present = {name: _seal(run / CHECKPOINTS / name) for name in sorted(set(links.values()))}
        for name, seal in present.items():
            if self._checkpoints.get(name) != seal:
                for path in sorted((run / CHECKPOINTS / name).iterdir()):
                    self._storage.write_bytes_atomic(f"{_place(name, seal)}/{path.name}", path.read_bytes())
        loose = [name for name in _LOOSE if (run / name).is_file()]
        for name in loose:
            self._send(name, (run / name).read_bytes())
        blocks = _blocks(run / METRICS)
        for number, block in enumerate(blocks):
            self._send(_block_path(number), block)
        # Sending takes a while: whoever was stopped meanwhile must not write over the newer owner's record.
        self._require_taken()
        record = {"links": links, "files": loose, "metrics_blocks": len(blocks), "checkpoints": present}
        self._storage.write_bytes_atomic(MIRROR_FILE, json_text(record, indent=1).encode())
        for name, seal in self._checkpoints.items() - present.items():
            for file in self._storage.list_files(_place(name, seal)):
                self._storage.delete(file.path)
        self._checkpoints = present

    def pull(self, run: Path, *, only_best: bool = False) -> bool:
        """Bring the run to this machine unless it is here, or further; its learning curves are made again.

        A run that has not the copy's latest checkpoint is no further, whatever its numbers: after the machine
        was left, the run may have taken over another's weights and counted on from that one's iteration.

        ``only_best`` leaves out the checkpoint that a run would go on from: enough to judge and to show it.
        Returns False where there is no copy yet.
        """
        record = self._record()
        if not record:
            return False
        links: dict[str, str] = record["links"]
        latest, seals = links[LATEST], record["checkpoints"]
        is_here = (run / CHECKPOINTS / latest).is_dir() and _seal(run / CHECKPOINTS / latest) == seals[latest]
        if is_here and (run / LATEST).exists() and (run / LATEST).resolve().name >= latest:
            return True
        wanted = {BEST: links[BEST]} if only_best and BEST in links else links
        if only_best and _is_here(run, wanted, seals):
            return True
        run.mkdir(parents=True, exist_ok=True)
        for checkpoint in sorted(set(wanted.values())):
            self._fetch_checkpoint(run, checkpoint, seals[checkpoint])
        for name in record["files"]:
            write_whole(run / name, bytes(self._storage.read_bytes(name)))
        self._fetch_metrics(run, record["metrics_blocks"])
        for name, checkpoint in wanted.items():
            point(run, name, run / CHECKPOINTS / checkpoint)
        return True

    def pull_curves(self, run: Path) -> bool:
        """Bring the run's metrics and make its learning curves of them; False where there is no copy yet."""
        record = self._record()
        if not record:
            return False
        run.mkdir(parents=True, exist_ok=True)
        self._fetch_metrics(run, record["metrics_blocks"])
        return True

    def has_best(self) -> bool:
        """True where the copy holds the checkpoint that scored best, by its manifest."""
        record = self._record()
        name = record.get("links", {}).get(BEST)
        return name is not None and self._storage.exists(
            f"{_place(name, record['checkpoints'][name])}/{MANIFEST}"
        )

    def _record(self) -> dict[str, Any]:
        """Content of mirror.json; empty where there is no copy yet."""
        if not self._storage.exists(MIRROR_FILE):
            return {}
        record = _mapping(bytes(self._storage.read_bytes(MIRROR_FILE)))
        if not _is_record(record):
            raise DataError(
                f"{self._storage.address(MIRROR_FILE)} is no record of a run's copy: restore it, or delete "
                f"{self.uri} and the run is trained again"
            )
        return record

    def _require_taken(self) -> None:
        owner = _mapping(bytes(self._storage.read_bytes(OWNER_FILE)))
        if owner.get("token") != self._token:
            holder = owner.get("holder", "an unknown process")
            raise ContractError(
                f"{self.uri} is written by {holder} now, which started this run again while this "
                "process was out of reach: nothing more was written here"
            )

    def _send(self, path: str, data: bytes) -> None:
        """Write a file unless the store has these bytes from this process."""
        digest = sha256(data).hexdigest()
        if self._files.get(path) != digest:
            self._storage.write_bytes_atomic(path, data)
            self._files[path] = digest

    def _fetch_metrics(self, run: Path, n_blocks: int) -> None:
        lines = [bytes(self._storage.read_bytes(_block_path(k))) for k in range(n_blocks)]
        write_whole(run / METRICS, b"".join(lines))
        Curves(run, read_metrics(run)).close()

    def _fetch_checkpoint(self, run: Path, checkpoint: str, seal: str) -> None:
        target = run / CHECKPOINTS / checkpoint
        files = self._storage.list_files(_place(checkpoint, seal))
        if not files:
            raise DataError(
                f"{self._storage.address(MIRROR_FILE)} names checkpoint {checkpoint}, absent there"
            )
        with new_checkpoint(target) as folder:
            for file in files:
                (folder / Path(file.path).name).write_bytes(bytes(self._storage.read_bytes(file.path)))


def _is_record(record: dict[str, Any]) -> bool:
    """True where ``record`` names what a copy of a run holds, and nothing outside a run's folder.

    A bucket may be written by others: a name of theirs becomes a file or a link on this machine.
    """
    kinds = {"links": dict, "files": list, "metrics_blocks": int, "checkpoints": dict}
    if not all(type(record.get(name)) is kind for name, kind in kinds.items()):
        return False
    links, checkpoints = record["links"], record["checkpoints"]
    return (
        LATEST in links
        and links.keys() <= {LATEST, BEST}
        and all(isinstance(name, str) and name in checkpoints for name in links.values())
        and all(_CHECKPOINT.fullmatch(name) and isinstance(seal, str) for name, seal in checkpoints.items())
        and all(name in (*_LOOSE, *_EARLIER) for name in record["files"])
        and record["metrics_blocks"] >= 0
    )


def _mapping(data: bytes) -> dict[str, Any]:
    """Content of a JSON object; empty where the bytes are none."""
    try:
        found = json_value(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _place(checkpoint: str, seal: str) -> str:
    """Folder of a checkpoint in the store; one written anew under its number goes beside the earlier one."""
    return f"{CHECKPOINTS}/{checkpoint}-{seal[:12]}" if seal else f"{CHECKPOINTS}/{checkpoint}"


def _seal(checkpoint: Path) -> str:
    """Digest of a checkpoint's manifest, which names the digests of its files; empty where it has none.

    Equal numbers do not make equal checkpoints: a population's trial writes one anew where it takes over
    another trial's weights.
    """
    manifest = checkpoint / MANIFEST
    return sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""


def _is_here(run: Path, wanted: dict[str, str], seals: dict[str, str]) -> bool:
    """True where an earlier pull brought these checkpoints, by their manifests; links are its last act."""
    there = {name: (run / name).resolve() for name in wanted if (run / name).exists()}
    return all(name in there and _seal(there[name]) == seals[k] != "" for name, k in wanted.items())


def _blocks(metrics: Path) -> list[bytes]:
    """Lines of the metrics, so many in a block that none but the last one changes as the run goes on."""
    lines = metrics.read_bytes().splitlines(keepends=True) if metrics.is_file() else []
    return [b"".join(lines[k : k + LINES_A_BLOCK]) for k in range(0, len(lines), LINES_A_BLOCK)]


def _block_path(number: int) -> str:
    return f"metrics/{number:06d}.jsonl"
