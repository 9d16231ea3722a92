"""One place for a sweep: its storage. The folder on a machine's disk is a cache that can be lost.

Owns       which files of a sweep travel between the two: records and pages (``keep``, ``fetch``), and runs,
           each through its mirror (``learning/training/mirror.py``).
Without    ``--storage`` the folder is the place itself, which every machine reaches: nothing travels.
Invariant  whatever the driver wrote is in the storage before the next step begins, so a driver on another
           machine goes on from there; a cache belongs to one claim (``claim.py``) and is refused by another.
"""

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.places import HOME_VARIABLE, home
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.tuning.sweep_record import RUN_FOLDERS, SWEEP_FILE, TRIAL_FILE
from kalshi_platform.learning.tuning.tracking_place import TrackingPlace, tracking_place
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.storage.whole_file import create_whole, write_whole

PLAN_FILE: Final = "plan.json"
CACHE_FILE: Final = "cache.json"
#: All that a driver writes beside the records of trials, as conclude.py and page.py name it. Anything else in
#: the storage or in the folder is somebody else's: other sweeps, a dataset, a user's own files, MLflow's.
_RECORDS: Final = (SWEEP_FILE, "baselines.json", "compare.html", "compare.json", "test_split_openings.jsonl")
_RECORD_FOLDER: Final = "winner"
#: Words of a refusal, by which the driver knows it among the errors of trials.
NOT_REACHED: Final = "does not reach the sweep in"
#: Runs that are brought at once.
_PULLS_AT_ONCE: Final = 8


def sweeps_folder() -> Path:
    """Folder of this machine in which sweeps lie, or their caches, where the user names none."""
    return home() / "sweeps"


class SweepStore:
    """The files of one sweep: ``out`` on this machine and, where ``uri`` is given, the storage behind it."""

    def __init__(
        self,
        out: Path,
        uri: str = "",
        claim: str = "",
        *,
        chosen_by_user: bool = True,
        still_driven: Callable[[], None] = lambda: None,
    ) -> None:
        """``claim`` names the sweep; ``chosen_by_user`` is False where every machine has a cache in its home.

        ``still_driven`` raises where another driver has taken the sweep over: to be asked before what cannot
        be taken back. ContractError where the folder and the storage are one, or the folder is the cache of
        another sweep.
        """
        self.out = out.absolute()
        self.storage = open_storage(uri or self.out)
        self.is_remote = bool(uri)
        self.claim = claim
        self.require_driven = still_driven
        self._chosen_by_user = chosen_by_user
        if self.is_remote:
            enter_cache(self.out, self.storage.uri, claim)

    @property
    def uri(self) -> str:
        """Address of the storage; without one, the folder."""
        return self.storage.uri

    def tracking_place(self) -> TrackingPlace:
        """Place of the sweep's MLflow runs."""
        return tracking_place(self.out, self.uri if self.is_remote else "")

    def address(self, path: str) -> str:
        """``path`` where it lasts: in the storage."""
        return self.storage.address(path)

    def everywhere(self, path: str) -> str:
        """Every place of ``path`` in words: a copy left on this machine would come back."""
        here = f" and its copy {self.out / path}" if self.is_remote else ""
        return f"{self.address(path)}{here}"

    def run_folder(self, stage: str) -> str:
        """Folder of the runs of a stage on the machine that trains them, as a trial's task names it."""
        if self._chosen_by_user or not self.is_remote:
            return str(self.out / stage)
        return f"{self.out.name}/{stage}"  # below that machine's own home

    def mirror_of(self, path: str) -> str:
        """Address of the mirror of ``path`` (a run or a folder of runs); empty without a storage."""
        return self.storage.address(path) if self.is_remote else ""

    def keep(self, *paths: str) -> None:
        """Send files and folders below ``out`` to the storage; nothing happens for what is not there.

        JSON goes last: by its report a judgement counts as made. ContractError, and nothing is sent, where
        another driver has taken the sweep over.
        """
        if not self.is_remote:
            return
        self.require_driven()
        for path in paths:
            for file in sorted(_files(self.out / path), key=lambda f: f.suffix == ".json"):
                name = file.relative_to(self.out).as_posix()
                self.storage.write_bytes_atomic(name, file.read_bytes())

    def fetch(self) -> None:
        """Bring every record and page to this machine, and send those that an interruption left here alone.

        Where both have a file, the storage's counts.
        """
        if not self.is_remote:
            return
        stored = {file.path for file in self.storage.list_files() if _is_record(file.path)}
        for path in stored:
            data, target = bytes(self.storage.read_bytes(path)), self.out / path
            if not target.is_file() or target.read_bytes() != data:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, data)
        places = (*_RECORDS, _RECORD_FOLDER, *RUN_FOLDERS.values())
        files = (file for place in places for file in _files(self.out / place))
        here = (file.relative_to(self.out).as_posix() for file in files)
        self.keep(*(path for path in here if _is_record(path) and path not in stored))

    def pull_runs(self, paths: Iterable[str]) -> None:
        """Bring runs that ended, without what a run goes on from; a run without a mirror is left out."""
        if not self.is_remote:
            return
        wanted = sorted(paths)
        with ThreadPoolExecutor(_PULLS_AT_ONCE) as pool:
            list(pool.map(lambda p: Mirror(self.mirror_of(p)).pull(self.out / p, only_best=True), wanted))

    def starts_of(self, stage: str) -> int:
        """Number of earlier starts of a stage; Tune's logs of all starts lie beside each other."""
        parts = [file.path.split("/") for file in self.storage.list_files("tune")]
        return len({part[1] for part in parts if len(part) > 2 and part[1].startswith(f"{stage}-")})


def require_reached(folder: Path, claim: str) -> None:
    """Refuse to train where ``folder``, a sweep's place without a storage, is not the driver's.

    ContractError names the machine: what it trains would never reach the driver.
    """
    try:
        token = json_value((folder / PLAN_FILE).read_text())["claim"]["token"]
    except (OSError, ValueError, KeyError, TypeError):
        token = None
    if token != claim:
        raise ContractError(
            f"machine {socket.gethostname()} {NOT_REACHED} {folder}: give the sweep a --storage "
            "(s3://bucket/prefix), or an --out that lies on a disk of all machines"
        )


def cache_name(name: str, uri: str, claim: str) -> str:
    """Name of a sweep's cache in a machine's home: another claim of the same storage has another one."""
    return f"{name}-{digest_of([uri, claim])}"


def enter_cache(out: Path, uri: str, claim: str) -> None:
    """Make ``out`` the cache of the sweep ``claim`` in the storage ``uri``, or find that it is.

    ContractError where it holds something else: a stale run must not be taken for one of this sweep.
    """
    require_cache_place(out, uri)
    mark = json_text({"storage": uri, "claim": claim}, indent=1).encode()
    path = out / CACHE_FILE
    try:
        if not path.exists():
            create_whole(path, mark)  # False: another trial of this machine was faster
        found = _read(path)
    except OSError as err:
        raise _no_cache(out, err) from None
    if found != json_value(mark):
        whose = f"{found.get('storage')}, begun as {found.get('claim')}" if found else f"{path} is damaged"
        raise ContractError(
            f"{out} is the cache of another sweep ({whose}): delete it on this machine, name another --out, "
            "or leave it out and a cache is chosen"
        )


def require_cache_place(out: Path, uri: str) -> None:
    """Make the folder ``out``; ContractError where it cannot be the cache of a sweep in the storage ``uri``.

    Asked before the storage is claimed: a refused call leaves nothing there.
    """
    if "://" not in uri and Path(uri).resolve() == out.resolve():
        raise ContractError(
            f"--storage and --out are both {out}: leave out --storage, or name another --out for the cache"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        own = not (out / CACHE_FILE).exists() and any(
            (out / name).exists() for name in (*RUN_FOLDERS.values(), PLAN_FILE)
        )
    except OSError as err:
        raise _no_cache(out, err) from None
    if own:
        raise ContractError(
            f"{out} holds a sweep of its own and cannot be the cache of {uri}: name another --out, or "
            "leave it out and a cache is chosen"
        )


def _no_cache(out: Path, err: OSError) -> ContractError:
    return ContractError(
        f"{out} cannot hold copies of a sweep ({err.strerror}): name another --out, or another "
        f"{HOME_VARIABLE} where --out is left out"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json_value(path.read_text()))
    except (ValueError, TypeError):
        return {}


def _files(path: Path) -> list[Path]:
    """Files at or below ``path``, without hidden ones."""
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(path).parts))


def _is_record(path: str) -> bool:
    """True for what the driver writes: records and pages, but no file of a run except its trial's record."""
    first, *rest = path.split("/")
    if first in RUN_FOLDERS.values():
        return len(rest) == 2 and rest[-1] == TRIAL_FILE
    if first == _RECORD_FOLDER:
        return bool(rest) and not any(part.startswith(".") for part in rest)
    return path in _RECORDS
