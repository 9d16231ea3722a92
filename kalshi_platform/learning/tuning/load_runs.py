"""Reads run folders and sweep folders back into records, and judges nothing.

Owns       ``load``: any mix of runs and sweeps to one list of uniquely named runs, and the sweeps' records.
Units      scores and returns are fractions of an episode's capital.
Invariant  a run that failed, was never validated or is damaged in part is still a run: its ``problems`` say
           what could not be read. A folder that is neither a run nor a sweep is refused.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.evaluation.judging.validation import Validation, read_validation
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.learning.tuning.sweep_record import (
    SWEEP_FILE,
    SweepRecord,
    TrialRecord,
    TrialStatus,
    read_sweep,
)

#: As learning/training/session.py and learning/training/checkpoint.py name them; importing those would load
#: ray and torch
#: (3 s) to print a table. A test holds them equal.
RUN_FILE: Final = "run.json"
BEST: Final = "best"
BASELINES_FILE: Final = "baselines.json"
#: Mark of a machine's copy of a sweep in a storage, as sweep_store.py names it.
CACHE_FILE: Final = "cache.json"
#: Mark of a run's copy in a storage, as learning/training/mirror.py names it; the page, as page.py names it.
MIRROR_FILE: Final = "mirror.json"
COMPARE_HTML: Final = "compare.html"
#: Facts on a run's origin that both run.json and sweep.json hold.
_ORIGIN: Final = ("dataset", "dataset_digest", "feature_digest", "commit")
#: Digits of a sweep's id that tell it apart, as in MLflow.
_SHORT_ID: Final = 6
_BASELINES: Final = TypeAdapter(dict[str, dict[str, float]])


class CurvePoint(Config):
    """Score of one validation during training."""

    env_steps: int
    score: float


class Run(Config):
    """One run: a trial or finalist of a sweep, or a run trained alone."""

    name: str  # unique among the runs loaded together
    stage: Literal["run", "sweep", "finalist"]
    sweep: str | None
    folder: str
    seed: int | None
    status: TrialStatus
    reason: str
    iterations: int
    env_steps: int
    restarts: int
    values: dict[str, Any]  # dotted setting -> value, what its sweep varied
    settings: dict[str, Any]  # dotted setting -> value, all of them; empty where run.json was never written
    dataset: str | None
    dataset_digest: str | None
    feature_digest: str | None
    commit: str | None
    curve: tuple[CurvePoint, ...]
    validation: Validation | None  # of its best checkpoint
    score: float | None
    problems: tuple[str, ...]

    @property
    def is_ranked(self) -> bool:
        """True where the run's best checkpoint was validated and the run did not fail."""
        return self.validation is not None and self.status != "failed"

    @property
    def n_blocks(self) -> int:
        """Number of independent blocks that it was validated on; 0 where it never was."""
        return len(self.validation.block_returns) if self.validation else 0

    def value(self, setting: str) -> Any:
        """Value of ``setting`` in this run; None where it is not known."""
        return self.values.get(setting, self.settings.get(setting))


class Sweep(Config):
    """Record of one sweep and the baselines that lie beside it."""

    folder: str
    label: str = ""  # its name, with what tells it apart from others of that name; empty in older pages
    record: SweepRecord
    baselines: dict[str, dict[str, float]]  # name -> block -> return on the validation split


class Loaded(Config):
    """All runs and sweeps that were read."""

    runs: tuple[Run, ...]
    sweeps: tuple[Sweep, ...]


def load(folders: Sequence[Path]) -> Loaded:
    """Read ``folders``, each a run or a sweep; a run or sweep met twice is taken once.

    ContractError for no folder at all, and for two copies of one sweep. DataError for one that is neither
    a run nor a sweep, or whose sweep.json or baselines.json is damaged, for a sweep of which no trial has
    ended, and for a storage, whose runs are packed.
    """
    if not folders:
        raise ContractError("nothing to compare: name at least one run or sweep folder")
    places = list({Path(f).resolve(): Path(f) for f in reversed(folders)}.values())[::-1]
    sweeps = dict(_labelled(places))
    runs: dict[Path, Run] = {}
    for folder in places:
        if sweep := sweeps.get(folder):
            for trial in sweep.record.trials:
                _require_whole(folder / trial.run, folder)
                runs[(folder / trial.run).resolve()] = _read_trial(folder, sweep, trial)
        elif is_run(folder):
            _require_whole(folder, folder)
            runs.setdefault(folder.resolve(), _read_run(folder))
        else:
            raise DataError(
                f"{folder} is neither a sweep (it has no {SWEEP_FILE}) nor a run (no {RUN_FILE} or "
                f"{METRICS}): name a folder that training or a sweep wrote"
            )
    several = len(sweeps) > 1
    return Loaded(runs=tuple(_uniquely_named(list(runs.values()), several)), sweeps=tuple(sweeps.values()))


def _require_whole(run: Path, folder: Path) -> None:
    """Refuse a run's copy in a storage, which is packed: read as a run it has no curve and no validation."""
    if (run / MIRROR_FILE).is_file():
        raise DataError(
            f"{folder} is a sweep's --storage, where runs are packed: its page is {COMPARE_HTML} there; to "
            "make another, name the folder of the sweep's copies on a machine, which the sweep prints at its "
            "start"
        )


def _labelled(folders: Sequence[Path]) -> list[tuple[Path, Sweep]]:
    """Sweeps among ``folders``, each with a label of its own: its name, and its id where names repeat."""
    found = [(folder, _read_sweep(folder)) for folder in folders if is_sweep(folder)]
    first: dict[str, Path] = {}
    for folder, sweep in found:
        id = sweep.record.id
        if id and first.setdefault(id, folder) != folder:
            raise ContractError(f"{first[id]} and {folder} are copies of one sweep ({id}): name one of them")
    taken = Counter(sweep.record.name for _, sweep in found)
    out = []
    for folder, sweep in found:
        name, mark = sweep.record.name, sweep.record.id[:_SHORT_ID] or folder.resolve().name
        out.append((folder, sweep.replace(label=name if taken[name] == 1 else f"{name} {mark}")))
    return out


def storage_of_copy(folder: Path) -> str:
    """Address of the storage of which ``folder`` is a machine's copy; "" where it is none."""
    path = Path(folder) / CACHE_FILE
    try:
        return str(json_value(path.read_text())["storage"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_sweep(folder: Path) -> bool:
    """True where ``folder`` is that of a sweep."""
    return (Path(folder) / SWEEP_FILE).is_file()


def is_run(folder: Path) -> bool:
    """True where ``folder`` is that of a training run."""
    return any((Path(folder) / name).is_file() for name in (RUN_FILE, METRICS))


def varied(runs: Sequence[Run]) -> tuple[str, ...]:
    """Dotted settings in which the runs differ, those a sweep varied first; the seed is not one of them."""
    swept = dict.fromkeys(name for run in runs if run.stage != "finalist" for name in run.values)
    known = [run for run in runs if run.settings]
    names = dict.fromkeys(name for run in known for name in run.settings)
    differing = (n for n in names if len({json_text(run.settings.get(n)) for run in known}) > 1)
    return tuple(n for n in dict.fromkeys([*swept, *differing]) if n != "train.seed")


def _read_sweep(folder: Path) -> Sweep:
    record = read_sweep(folder)
    if not record.trials:
        raise DataError(
            f"no trial of {folder} has ended yet: look again later, or continue the sweep with --resume"
        )
    path = folder / BASELINES_FILE
    baselines: dict[str, dict[str, float]] = {}
    if path.is_file():
        try:
            baselines = _BASELINES.validate_json(path.read_bytes())
        except ValidationError as err:
            raise DataError(
                f"{path} is not a table of returns: {err.errors()[0]['msg']}; expected "
                '{"name": {"event": return}}: write it again or remove it'
            ) from None
    return Sweep(folder=str(folder), record=record, baselines=baselines)


def _read_trial(folder: Path, sweep: Sweep, trial: TrialRecord) -> Run:
    where, record = folder / trial.run, sweep.record
    told = {
        "name": trial.id,
        "stage": trial.stage,
        "sweep": sweep.label,
        "seed": trial.seed,
        "status": trial.status,
        "reason": trial.reason,
        "iterations": trial.iterations,
        "env_steps": trial.env_steps,
        "restarts": trial.restarts,
        "values": trial.values,
    }
    about = {key: getattr(record, key) for key in _ORIGIN}
    return _complete(where, told, about, trial.score)


def _read_run(folder: Path) -> Run:
    return _complete(folder, {"name": folder.resolve().name, "stage": "run", "sweep": None}, {}, None)


def _complete(folder: Path, told: dict[str, Any], about: dict[str, Any], score: float | None) -> Run:
    """The run in ``folder``: values ``told`` by its sweep win over the folder's, and those over ``about``."""
    problems: list[str] = []
    record = _run_record(folder, problems)
    rows = _rows(folder, problems)
    settings = _flat(record.get("settings"))
    validation = _best(folder, problems)
    curve = _curve(rows)
    if validation is not None:
        score = validation.score
    elif score is None and curve:
        score = max(point.score for point in curve)
    if validation is None and score is not None:
        problems.append("scored, but its best checkpoint holds no validation: not in the corrections")
    origin: dict[str, Any] = dict.fromkeys(_ORIGIN) | about
    origin |= {key: record[key] for key in _ORIGIN if key in record}
    return Run.parse(
        {
            **_progress(rows, settings),
            **origin,
            **told,
            "folder": str(folder),
            "settings": settings,
            "curve": [point.model_dump() for point in curve],
            "validation": None if validation is None else validation.model_dump(),
            "score": score,
            "problems": problems,
        }
    )


def _progress(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Progress of a run by its own files; the record of its sweep, if any, knows better."""
    last: Mapping[str, Any] = rows[-1] if rows else {}
    done, wanted = int(last.get("env_steps", 0)), settings.get("train.total_env_steps")
    finished = wanted is not None and done >= wanted
    total = "an unknown number of" if wanted is None else f"{wanted:,}"
    reason = f"{done:,} of {total} steps; its folder does not say why it ended"
    return {
        "seed": settings.get("train.seed"),
        "status": "finished" if finished else "unfinished",
        "reason": "used its whole budget" if finished else reason,
        "iterations": int(last.get("iteration", len(rows))),
        "env_steps": done,
        "restarts": 0,
        "values": {},
    }


def _run_record(folder: Path, problems: list[str]) -> dict[str, Any]:
    path = folder / RUN_FILE
    if not path.is_file():
        return {}
    try:
        found = json_value(path.read_text())
    except ValueError as err:
        problems.append(f"{path} is not JSON ({err}): its settings are not shown")
        return {}
    return found if isinstance(found, dict) else {}


def _rows(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    if not (folder / METRICS).is_file():
        return []
    try:
        return read_metrics(folder)
    except DataError as err:
        problems.append(f"{err}: its learning curve is not shown")
        return []


def _best(folder: Path, problems: list[str]) -> Validation | None:
    best = folder / BEST
    if not best.exists():
        if best.is_symlink():
            problems.append(f"{best} points at a checkpoint that is gone")
        return None
    try:
        return read_validation(best)
    except (ContractError, DataError) as err:
        problems.append(str(err))
        return None


def _curve(rows: Sequence[Mapping[str, Any]]) -> tuple[CurvePoint, ...]:
    """Scores over environment steps: those that changed, and the last one carried forward to the end."""
    points: list[CurvePoint] = []
    for number, row in enumerate(rows, start=1):
        score, steps = (row.get("validation") or {}).get("score"), row.get("env_steps")
        if score is None or steps is None:
            continue
        if not points or points[-1].score != score or number == len(rows):
            points.append(CurvePoint(env_steps=steps, score=score))
    return tuple(points)


def _flat(settings: object) -> dict[str, Any]:
    """Settings by dotted name: {"train": {"seed": 0}} -> {"train.seed": 0}."""
    if not isinstance(settings, dict):
        return {}
    return {f"{s}.{n}": v for s, part in settings.items() if isinstance(part, dict) for n, v in part.items()}


def _uniquely_named(runs: list[Run], several: bool) -> list[Run]:
    """Runs with unique names: as they are, else with the sweep before them, else numbered.

    Where there are ``several`` sweeps, every run of one has its sweep before it.
    """
    taken = Counter(run.name for run in runs)
    seen: Counter[str] = Counter()
    out = []
    for run in runs:
        name = f"{run.sweep}/{run.name}" if run.sweep and (several or taken[run.name] > 1) else run.name
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name} ({seen[name]})"
        out.append(run if unique == run.name else run.replace(name=unique))
    return out
