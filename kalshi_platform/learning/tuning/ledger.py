"""The ledger of a stage: it writes ``trial.json`` beside a trial's run the moment that the trial has ended.

Owns       the records of a stage, the count of restarts, and the line that says how far the sweep is.
Invariant  a trial with a final record never runs again; one without goes on from its checkpoint. A record is
           in the sweep's storage before anything else happens.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RpcError,
    WorkerCrashedError,
)
from ray.tune import Callback

from kalshi_platform.domain.errors import ContractError, DataError, PlatformError, StorageError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.saying import Say, detail, passing, time_words
from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.learning.training.checkpoint import BEST
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.tuning.experiment import Variant
from kalshi_platform.learning.tuning.same_program import OTHER_PROGRAM
from kalshi_platform.learning.tuning.sweep_record import RUN_FOLDERS, TRIAL_FILE, TrialRecord
from kalshi_platform.learning.tuning.sweep_store import NOT_REACHED, SweepStore
from kalshi_platform.storage.whole_file import write_whole

#: Errors by which Ray says that a process or its machine is gone.
_LOST: Final = (ActorDiedError, ActorUnavailableError, NodeDiedError, RpcError, WorkerCrashedError)
#: Ray's word that a machine ran out of memory; its text ends with advice on Ray's own settings.
_NO_MEMORY: Final = f"{OutOfMemoryError.__module__}.{OutOfMemoryError.__name__}:"
#: Begins each error of a trial in the one file that Tune keeps of them all; the last one counts.
_FAILURE: Final = "Failure # "
#: Words of an error by which a trial's disk or the sweep's storage failed.
_STORE_FAILED: Final = ("StorageError: ", "No space left on device", "Disk quota exceeded")


class Ledger(Callback):
    """Ray Tune's callback that keeps the records of one stage's trials."""

    def __init__(
        self,
        store: SweepStore,
        stage: Literal["sweep", "finalist"],
        planned: Sequence[Variant],
        why_stopped: Callable[[str], str | None],
        say: Say,
        ended: Callable[[Iterable[TrialRecord]], object] = lambda records: None,
        end_all: Callable[[], None] = lambda: None,
    ) -> None:
        """``ended`` is called with all records so far whenever one trial more has ended.

        ``end_all`` ends the stage: called where a machine runs another program or does not reach the sweep's
        folder, which would fail one trial after the other; where another driver has taken the sweep over,
        whose trials these would disturb; and where a record cannot be written. No record is written from then
        on, and ``refusal`` says why.
        """
        self._store, self._folder, self._ended, self._end_all = store, RUN_FOLDERS[stage], ended, end_all
        self.refusal: PlatformError | None = None
        self.records: dict[str, TrialRecord] = {}
        self._stage: Literal["sweep", "finalist"] = stage
        self._planned = {v.id: v for v in planned}
        self._why_stopped = why_stopped
        self._say = say
        self._last: dict[str, Mapping[str, Any]] = {}
        self._restarts: dict[str, int] = {}
        self._at_once = 1  # most trials that ran at the same time
        self._shown = passing(say)
        for variant in planned:
            name = f"{self._folder}/{variant.id}"
            if (found := read_trial(store.out / name, store.everywhere(f"{name}/{TRIAL_FILE}"))) is not None:
                _require_best(store, found)
                self.records[variant.id] = found

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes its callbacks beside its logs; nothing of ours is read back from there.
        silent = dict.fromkeys(("_say", "_shown", "_why_stopped", "_store", "_ended", "_end_all"))
        return {**self.__dict__, **silent}

    @property
    def open(self) -> list[Variant]:
        """Trials that have no final record yet."""
        return [v for v in self._planned.values() if v.id not in self.records]

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Note a trial's report, and say every few seconds how far the stage is.

        A policy that stops trading or trades again is a detail here: the trial's last line says how it ended.
        """
        name, before = str(trial), self._last.get(str(trial), {}).get("collapse", "")
        self._last[name] = result
        now = result.get("collapse", "")
        if bool(now) != bool(before):
            words = f"warning: {now}" if now else "the policy has recovered: it trades again"
            detail(self._say)(f"{name}: {words}")
        self._shown(self.line())

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a restart: the trial's process failed or its machine was lost, and Tune starts it again."""
        if self._refuses(trial):
            return
        name = str(trial)
        self._restarts[name] = self._restarts.get(name, 0) + 1
        self._say(f"{name}: failed ({_last_line(trial)}); going on from its last checkpoint")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial that ended by itself or was stopped; the end of a whole stage ends no trial."""
        if self.refusal is not None:
            return
        reason = self._why_stopped(trial.trial_id)
        self._close(str(trial), "stopped" if reason else "finished", reason or "used its whole budget")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial that failed for good; a store or disk that failed is no fault of its settings.

        The stage ends then, without a record: the trial goes on with --resume once that is mended.
        """
        if self._refuses(trial):
            return
        last = _last_line(trial)
        if any(words in last for words in _STORE_FAILED):
            with self._ending_the_stage():
                raise StorageError(f"{trial}: {last.partition('StorageError: ')[2] or last}")
        else:
            self._close(str(trial), "failed", last)

    def _refuses(self, trial: Any) -> bool:
        """True where the stage ends: the trial's machine is not fit, or this is no driver any more.

        A trial that failed because another driver started it again must neither be recorded nor restarted:
        it would take the run back.
        """
        last = _last_line(trial)
        with self._ending_the_stage():
            if OTHER_PROGRAM in last or NOT_REACHED in last:
                raise ContractError(last.partition("ContractError: ")[2] or last)
            self._store.require_driven()
        return self.refusal is not None

    @contextmanager
    def _ending_the_stage(self) -> Iterator[None]:
        """End the stage where the block raises an error of ours: Ray Tune would take it for the trial's."""
        try:
            yield
        except PlatformError as err:
            self.refusal = self.refusal or err
            self._end_all()

    def line(self) -> str:
        """Progress of the stage in one line."""
        running = {name: last for name, last in self._last.items() if name not in self.records}
        shown = "  ".join(
            f"{name} {last['iteration']}/{self._iterations(name)} {signed_percent(last['score'])}"
            for name, last in sorted(running.items())
        )
        left = self._seconds_left(running)
        estimate = "" if left is None else f", about {time_words(left)} left"
        done = f"{len(self.records)} of {len(self._planned)} trials done{estimate}"
        return f"{done}  validation return, % of capital: {shown}" if shown else done

    def _iterations(self, name: str) -> int:
        return self._planned[name].settings.train.iterations

    def _seconds_left(self, running: Mapping[str, Mapping[str, Any]]) -> float | None:
        """Time left as if no trial were stopped early; None before the first iteration.

        The iterations left take the measured seconds each, those of trials that ended too: a trial's first
        iteration is its slowest. They are spread over as many trials as ran at once.
        """
        self._at_once = max(self._at_once, len(running))
        done = sum(int(last["iteration"]) for last in self._last.values())
        spent_s = sum(float(last["train_s"]) for last in self._last.values())
        if not done or not self.open:
            return None
        left = sum(self._iterations(v.id) for v in self.open)
        left -= sum(int(last["iteration"]) for last in running.values())
        return left * spent_s / done / min(self._at_once, len(self.open))

    def _close(self, name: str, status: Literal["finished", "stopped", "failed"], reason: str) -> None:
        last = self._last.get(name, {})
        variant = self._planned[name]
        record = TrialRecord(
            id=name,
            stage=self._stage,
            values=variant.values,
            seed=variant.settings.train.seed,
            status=status,
            reason=reason,
            iterations=int(last.get("iteration", 0)),
            env_steps=int(last.get("env_steps", 0)),
            restarts=self._restarts.get(name, 0),
            score=last.get("best_score"),
            run=f"{self._folder}/{name}",
        )
        with self._ending_the_stage():
            self._store.require_driven()
            write_trial(self._store.out / record.run, record)
            self._store.keep(f"{record.run}/{TRIAL_FILE}")
            self.records[name] = record
            self._tell(record, last)
            self._ended(self.records.values())

    def _tell(self, record: TrialRecord, last: Mapping[str, Any]) -> None:
        """Say how a trial ended."""
        best = (
            ""
            if record.score is None
            else f"; best validation return {signed_percent(record.score)} of capital"
        )
        collapse = f"; warning: at its end {last['collapse']}" if last.get("collapse") else ""
        self._say(f"{record.id}: {record.status}, {record.reason}{best}{collapse}")


def _last_line(trial: Any) -> str:
    """Last line with words of a trial's error; Ray puts stack traces of several processes before it."""
    text = str(trial.get_error()).rpartition(_FAILURE)[2].strip()
    if any(f"{error.__name__}:" in text for error in _LOST):
        return "its process or machine was lost"
    if _NO_MEMORY in text:
        return "its process was ended for want of memory: run fewer at once (--sweep concurrent=N)"
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line not in ("", "None")]  # an error without a text ends with "None"
    return told[-1] if told else "its process ended and left no error: it was killed, or its machine was lost"


def _require_best(store: SweepStore, record: TrialRecord) -> None:
    """Refuse a trial that ended with a score and lost its policy: that policy may be the one that wins."""
    if record.score is None or (store.out / record.run / BEST).exists():
        return
    if store.is_remote and Mirror(store.mirror_of(record.run)).has_best():
        return
    raise DataError(
        f"{store.address(record.run)} ended ({record.status}) but its best checkpoint is missing: restore "
        f"it, or delete {store.everywhere(f'{record.run}/{TRIAL_FILE}')} to run the trial again"
    )


def write_trial(run: Path, record: TrialRecord) -> None:
    """Write the final record of a trial as a whole file."""
    run.mkdir(parents=True, exist_ok=True)
    write_whole(run / TRIAL_FILE, record.model_dump_json(indent=1) + "\n")


def read_trial(run: Path, named: str = "") -> TrialRecord | None:
    """Final record of a trial that ended, None for one that did not; DataError where it is damaged.

    The error names the record as ``named``, of which copies may lie elsewhere.
    """
    path = run / TRIAL_FILE
    if not path.is_file():
        return None
    try:
        return TrialRecord.parse(json_value(path.read_text()))
    except ValueError as err:
        raise DataError(
            f"{path} is not JSON ({err}): delete {named or path} to run the trial to its end again"
        ) from None
    except ContractError as err:
        raise DataError(
            f"{path} is no record of a trial ({err}): delete {named or path} to run it again"
        ) from None
