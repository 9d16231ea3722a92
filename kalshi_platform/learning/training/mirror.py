"""A run's folder kept in an object store as well, so that the run survives the machine it runs on.

Owns       which files of a run travel, and in which order: checkpoints never change once they are written;
           ``mirror.json`` comes last and says which of them belong together.
Invariant  ``pull`` brings the whole run as it was after one of its iterations, whenever the machine was lost.
"""

import json
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.learning.training.checkpoint import BEST, CHECKPOINTS, LATEST, new_checkpoint, point
from kalshi_platform.learning.training.folder import CONFIG
from kalshi_platform.learning.training.metrics import METRICS
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.storage.whole_file import write_whole

MIRROR_FILE: Final = "mirror.json"
_LOOSE: Final = (CONFIG, METRICS, "run.json", "env.json", "trial.json")


class Mirror:
    """Copy of one run below ``uri`` (a folder or s3://bucket/prefix)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._storage = open_storage(uri)
        self._sent: set[str] = set()

    def push(self, run: Path) -> None:
        """Bring the copy up to the run's last checkpoint; after a StorageError the copy is as it was."""
        links = {name: (run / name).resolve().name for name in (LATEST, BEST) if (run / name).exists()}
        for checkpoint in sorted(set(links.values())):
            if checkpoint not in self._sent:
                for path in sorted((run / CHECKPOINTS / checkpoint).iterdir()):
                    self._write(f"{CHECKPOINTS}/{checkpoint}/{path.name}", path)
        loose = [name for name in _LOOSE if (run / name).is_file()]
        for name in loose:
            self._write(name, run / name)
        text = json_text({"links": links, "files": loose}, indent=1)
        self._storage.write_bytes_atomic(MIRROR_FILE, text.encode())
        for old in self._sent - set(links.values()):
            for file in self._storage.list_files(f"{CHECKPOINTS}/{old}"):
                self._storage.delete(file.path)
        self._sent = set(links.values())

    def pull(self, run: Path) -> bool:
        """Bring the run to this machine unless a newer one is here.

        Returns False where there is no copy yet.
        """
        if not self._storage.exists(MIRROR_FILE):
            return False
        record = json.loads(bytes(self._storage.read_bytes(MIRROR_FILE)))
        links: dict[str, str] = record["links"]
        if (run / LATEST).exists() and (run / LATEST).resolve().name >= links[LATEST]:
            return True
        run.mkdir(parents=True, exist_ok=True)
        for checkpoint in sorted(set(links.values())):
            self._fetch_checkpoint(run, checkpoint)
        for name in record["files"]:
            write_whole(run / name, bytes(self._storage.read_bytes(name)))
        for name, checkpoint in links.items():
            point(run, name, run / CHECKPOINTS / checkpoint)
        self._sent = set(links.values())
        return True

    def _fetch_checkpoint(self, run: Path, checkpoint: str) -> None:
        target = run / CHECKPOINTS / checkpoint
        files = self._storage.list_files(f"{CHECKPOINTS}/{checkpoint}")
        if not files:
            raise DataError(
                f"{self._storage.address(MIRROR_FILE)} names checkpoint {checkpoint}, absent there"
            )
        with new_checkpoint(target) as folder:
            for file in files:
                (folder / Path(file.path).name).write_bytes(bytes(self._storage.read_bytes(file.path)))

    def _write(self, name: str, path: Path) -> None:
        self._storage.write_bytes_atomic(name, path.read_bytes())
