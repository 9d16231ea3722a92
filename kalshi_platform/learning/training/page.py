"""The page of one training run, written again after each validation: run.html in the run's folder.

Owns   run.html: the curves of metrics.jsonl with their units, the best validation, the settings of run.json.
Not    any figure that those files do not hold, and no JSON beside it: run.json is the run's own record.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.judging.validation import Validation, read_validation
from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import nothing
from kalshi_platform.evaluation.pages.formats import percent, plain
from kalshi_platform.evaluation.pages.head import PageHead, of_path
from kalshi_platform.evaluation.pages.neighbours import link_neighbours
from kalshi_platform.evaluation.pages.page import render
from kalshi_platform.learning.training.checkpoint import BEST
from kalshi_platform.learning.training.folder import read_object
from kalshi_platform.learning.training.metrics import read_metrics
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.models.registry.provenance import counts_words
from kalshi_platform.simulation.envs.settings import RUN_FILE
from kalshi_platform.storage.whole_file import write_whole

RUN_PAGE: Final = "run.html"
Rows = list[dict[str, Any]]
#: Lines of the validation return: key, name.
_BOUNDS: Final = (("score", "mean"), ("low", "lower bound"), ("high", "upper bound"))
#: Curves of the training: title with its unit, key of a metrics line.
_TRAINING: Final = (
    ("reward of an episode (scaled)", "episode_return", plain),
    ("profit of an episode, $", "pnl_usd_mean", plain),
    ("entropy of the policy, nats", "entropy", plain),
    ("change of the policy in an iteration, nats", "kl", plain),
    ("variance explained by the critic, 1 = all", "explained_variance", plain),
    ("environment steps a second", "steps_per_s", "{:,.0f}".format),
)
_log = logging.getLogger(__name__)


def with_page(show: Callable[[Progress], None], run: Path) -> Callable[[Progress], None]:
    """Call ``show`` with a run's progress, and write its page again after each validation.

    A page that cannot be written is named in the log and costs the run nothing.
    """
    seen: list[int] = []

    def shown(progress: Progress) -> None:
        show(progress)
        if seen != [len(progress.validations)]:
            seen[:] = [len(progress.validations)]
            try:
                write_run_page(run)
            except (PlatformError, OSError) as err:
                _log.warning("the page of the run could not be written: %s", err)

    return shown


def write_run_page(run: Path) -> Path:
    """Write run.html from the files in the folder ``run`` as they are now; returns its path.

    DataError where one of them is damaged.
    """
    page = Path(run) / RUN_PAGE
    write_whole(page, render_run(Path(run)))
    link_neighbours(page)
    return page


def render_run(run: Path) -> str:
    """Text of the page of the run in the folder ``run``."""
    record, rows = read_object(run / RUN_FILE), read_metrics(run)
    best = read_validation((run / BEST).resolve()) if (run / BEST).exists() else None
    steps = int(rows[-1]["env_steps"]) if rows else 0
    wanted = int(record["settings"]["train"]["total_env_steps"])
    validations = _validations(rows)
    return render(
        "kalshi_platform.learning.training",
        "run.html.j2",
        _head(run, record, best),
        state=_state(steps, wanted, best),
        is_running=steps < wanted,
        warning=(rows[-1].get("collapse") or "") if rows else "",
        validation=[
            ("return, % of capital", _returns(validations)),
            ("trade rate, % of decisions", _chart(validations, "trade_rate", "% of decisions", percent)),
        ],
        training=[
            *((title, _chart(rows, key, title, form)) for title, key, form in _TRAINING),
            ("actions, % of decisions", _actions(rows)),
        ],
        settings=sorted(_flat(record["settings"])),
    )


def _head(run: Path, record: Mapping[str, Any], best: Validation | None) -> PageHead:
    train = record["settings"]["train"]
    return PageHead(
        kind="Training run",
        name=f"{of_path(str(run.resolve()))}: {train['level']}, seed {train['seed']}",
        data=counts_words(best.judged_on if best else None),
        facts={"dataset": record["dataset"], "dataset digest": record["dataset_digest"]},
        made=Stamp.now(),
    )


def _state(steps: int, wanted: int, best: Validation | None) -> str:
    """Sentences for the first lines: the steps made so far, and the best policy until now."""
    left = f" of {wanted:,}" if steps < wanted else ""
    done = f"{steps:,}{left} environment steps."
    if best is None:
        return f"{done} Nothing is validated yet."
    bounds = ""
    if best.low is not None and best.high is not None:
        bounds = f" [{percent(best.low)}, {percent(best.high)}]"
    return (
        f"{done} Best validation return: {percent(best.score)}{bounds} of capital; that policy trades at "
        f"{percent(best.trade_rate)} of its decisions."
    )


def _validations(rows: Rows) -> Rows:
    """Numbers of each validation once, in order; the lines between repeat the last one's."""
    found = {row["validation"]["env_steps"]: row["validation"] for row in rows if row.get("validation")}
    return [found[at] for at in sorted(found)]


def _series(rows: Rows, key: str, name: str, slot: int = 0) -> Series:
    return Series(name, [float(r["env_steps"]) for r in rows], [r.get(key) for r in rows], slot)


def _returns(validations: Rows) -> Markup:
    if not validations:
        return nothing()
    lines = [_series(validations, key, name, slot) for slot, (key, name) in enumerate(_BOUNDS)]
    return _lines(lines, "validation return", "mean return a block, % of capital", percent)


def _chart(rows: Rows, key: str, axis: str, form: Callable[[float], str]) -> Markup:
    return _lines([_series(rows, key, axis)], axis, axis, form) if rows else nothing()


def _actions(rows: Rows) -> Markup:
    known = [row for row in rows if row.get("action_shares")]
    if not known:
        return nothing()
    xs = [float(row["env_steps"]) for row in known]
    lines = [
        Series(name, xs, [row["action_shares"][k] for row in known], k) for k, name in enumerate(ACTION_NAMES)
    ]
    return _lines(lines, "shares of the actions", "% of decisions", percent)


def _lines(lines: list[Series], label: str, axis: str, form: Callable[[float], str]) -> Markup:
    xs = lines[0].x
    ticks = [(x, f"{x:,.0f}") for x in dict.fromkeys((xs[0], xs[-1]))]
    return charts.line_chart(
        lines, label, ticks, form, charts.SMALL, x_axis="environment steps", y_axis=axis,
        with_zero=form is percent, x_format=lambda x: f"{x:,.0f} steps",
    )  # fmt: skip


def _flat(settings: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for section, values in settings.items():
        for name, value in values.items():
            yield f"{section}.{name}", value if isinstance(value, str) else json_text(value)
