"""Place of a sweep's MLflow runs: a server, or an SQLite file that outlives its machine where it can.

Order   the server of ``MLFLOW_TRACKING_URI``; for a sweep with a storage ``mlflow.db`` of the sweep's folder,
        of which the storage holds a copy as of the last trial that ended; else ``mlflow.db`` in this
        program's home (``domain/places.py``).
Resume  on another machine the copy comes back. The one with more figures is taken: figures are only
        ever added.
"""

import logging
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.hidden_user import HIDDEN, shown_address
from kalshi_platform.domain.places import home
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.storage.whole_file import write_whole

#: What MLflow raises: its own errors, and those of its SQLite file, such as one that is damaged.
TRACKING_ERRORS: Final = (MlflowException, SQLAlchemyError)
URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
TRACKING_FILE: Final = "mlflow.db"
#: Key of the view that MLflow shows under ``?viewStateShareKey=``, and the experiment's tag that holds it.
VIEW: Final = "kalshi-platform"
VIEW_TAG: Final = f"mlflow.sharedViewState.{VIEW}"


class TrackingPlace(NamedTuple):
    """Address for MLflow, the SQLite file behind it, and the storage that holds a copy of the file."""

    uri: str
    file: Path | None = None  # None: a server, or another store that the user named
    storage: str = ""  # folder or bucket that holds a copy of ``file``; "" = none does

    def client(self) -> MlflowClient:
        """Return a client of this place."""
        logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # new tables are no news
        # MLflow repeats a failed request for minutes; whoever waits is told at once.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        return MlflowClient(tracking_uri=self.uri)

    def open(self) -> None:
        """Fetch the copy that an earlier machine left and refuse a place that cannot be reached.

        StorageError in words; called before a sweep starts.
        """
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._bring(self.file)
        try:
            self.client().search_experiments(max_results=1)
        except TRACKING_ERRORS as err:
            remedy = f"start that server, or unset {URI_VARIABLE} to track in a file"
            if self.file is not None:
                remedy = "move that file away, and a new one begins"
            raise StorageError(
                f"runs cannot be tracked at {self.shown}: {self.reason(err)}; {remedy}"
            ) from None

    def keep(self) -> None:
        """Copy the file as it stands to the storage; StorageError where that fails."""
        if self.file is None or not self.storage or not self.file.exists():
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / TRACKING_FILE
            # SQLite's own copy: a file copied in the middle of a write is damaged.
            with closing(sqlite3.connect(self.file)) as now, closing(sqlite3.connect(copy)) as then:
                now.backup(then)
            open_storage(self.storage).write_bytes_atomic(TRACKING_FILE, copy.read_bytes())

    def caution(self, machines: int) -> str:
        """Say that the runs die with the driver's machine, where ``machines`` are a cluster; else ""."""
        if self.file is None or self.storage or machines < 2:
            return ""
        return (
            f"MLflow's runs lie in {self.file} of this machine and are lost with it: name a server "
            f"({URI_VARIABLE}), or give the sweep a --storage, which then holds a copy"
        )

    @property
    def words(self) -> str:
        """Words on where MLflow's runs lie."""
        if self.file is not None and self.storage:
            return f"{self.file}, copied to {self.storage}/{TRACKING_FILE} as trials end"
        return self.shown if self.file is None else str(self.file)

    @property
    def shown(self) -> str:
        """The address without a user's name and password."""
        if not urlsplit(self.uri).netloc:  # a file
            return self.uri
        return shown_address(self.uri).replace(f"{HIDDEN}@", "")

    def reason(self, err: Exception) -> str:
        """First line of the error, with the address in a form that may be shown."""
        return str(err).splitlines()[0].replace(self.uri, self.shown)[:300]

    def _bring(self, file: Path) -> None:
        if not self.storage:
            return
        storage = open_storage(self.storage)
        if not storage.exists(TRACKING_FILE):
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / TRACKING_FILE
            copy.write_bytes(storage.read_bytes(TRACKING_FILE))
            if not file.exists() or _figures(copy) > _figures(file):
                _put(copy.read_bytes(), file)


def tracking_place(out: Path | None = None, storage: str = "") -> TrackingPlace:
    """Place of the runs of a sweep in the folder ``out`` with ``storage``; both empty = of the rest."""
    given = os.environ.get(URI_VARIABLE)
    if given:
        return TrackingPlace(given)
    if out is not None and storage:
        return _in_file(Path(out).absolute() / TRACKING_FILE, storage)
    home().mkdir(parents=True, exist_ok=True)
    return _in_file(home() / TRACKING_FILE)


def place_of_sweep(where: str, cache: Path) -> TrackingPlace:
    """Place to look at for the sweep or storage ``where``, a folder or s3://bucket/prefix.

    A copy in a bucket is fetched into the folder ``cache``, also over one that has more figures: the place
    may hold another sweep by now. DataError where it holds no runs of MLflow.
    """
    if "://" not in where:
        file = Path(where).absolute() / TRACKING_FILE
        if not file.is_file():
            raise DataError(
                f"{where} holds no {TRACKING_FILE}: only a sweep with --storage keeps its MLflow runs by "
                "itself; the others are shown without naming one"
            )
        return _in_file(file)
    storage = open_storage(where)
    if not storage.exists(TRACKING_FILE):
        raise DataError(
            f"{where} holds no {TRACKING_FILE}: name the --storage of a sweep of which a trial has ended, or "
            f"the server that tracked it ({URI_VARIABLE})"
        )
    cache.mkdir(parents=True, exist_ok=True)
    _put(bytes(storage.read_bytes(TRACKING_FILE)), cache / TRACKING_FILE)
    return _in_file(cache / TRACKING_FILE)


def view_address(place: TrackingPlace, server: str) -> str:
    """Address of our view of the newest sweep at ``server``; the server itself where there is no sweep."""
    try:
        found = place.client().search_experiments(order_by=["last_update_time DESC"])
    except TRACKING_ERRORS:
        return server
    newest = next((each for each in found if VIEW_TAG in each.tags), None)
    if newest is None:
        return server
    return f"{server}/#/experiments/{newest.experiment_id}/runs?viewStateShareKey={VIEW}"


def _in_file(file: Path, storage: str = "") -> TrackingPlace:
    return TrackingPlace(f"sqlite:///{file}", file, storage)


def _put(data: bytes, file: Path) -> None:
    """Replace an SQLite file, and delete what a killed process left beside it: that would damage it."""
    for suffix in ("-journal", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    write_whole(file, data)


def _figures(file: Path) -> int:
    """Number of figures in an MLflow file; -1 where it is none."""
    try:
        with closing(sqlite3.connect(file)) as found:
            return int(found.execute("select count(*) from metrics").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1
