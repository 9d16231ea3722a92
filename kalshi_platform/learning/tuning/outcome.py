"""A sweep's outcome in a few lines: the run that won, its test figures, its checkup, what was registered.

Owns   the first lines of the summary, on the terminal and on the page.
Not    a figure of its own: they lie in the winner's report and in winner/registered.json.
"""

from collections.abc import Sequence

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.pages.formats import dollars, interval_text, signed_percent
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.learning.tuning.registered import Registered, seed_of
from kalshi_platform.learning.tuning.sweep_record import SweepRecord


class SweepOutcome(Config):
    """The first lines of a sweep's summary."""

    run: str  # which run won, and with which seed
    figures: str  # of that run on the test events
    checkup: str
    registered: str
    does_not_trade: bool
    has_errors: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, the most important first."""
        first = (
            ("The winner does not trade: not one of its orders was filled.",) if self.does_not_trade else ()
        )
        return (*first, self.run, self.figures, self.checkup, self.registered)


def outcome_of(
    record: SweepRecord,
    registered: Registered | None,
    split: str | None,
    mean_return: Interval | None,
    pnl_e6: int,
    findings: Sequence[Finding],
) -> SweepOutcome | None:
    """Outcome of the sweep ``record``; None where it has no winner yet.

    ``split``, ``mean_return``, ``pnl_e6`` and ``findings`` are of the winner's own report; None = there is
    none.
    """
    if record.winner_run is None:
        return None
    errors = [f for f in findings if f.severity == "error"]
    idle = any(f.evidence.get("fills") == 0 for f in errors) or (registered is not None and registered.idle)
    return SweepOutcome(
        run=_run(record),
        figures=_figures(split, mean_return, pnl_e6),
        checkup=_checkup(split, findings, errors, registered),
        registered=_registered(registered),
        does_not_trade=idle,
        has_errors=bool(errors or (registered is not None and registered.flaws)),
    )


def _run(record: SweepRecord) -> str:
    trial = next(t for t in record.trials if t.run == record.winner_run)
    seeds = sum(t.stage == "finalist" and t.id.startswith(f"{record.winner}-s") for t in record.trials)
    score = "no validation score" if trial.score is None else f"validation {signed_percent(trial.score)}"
    middle = f", the middle one of {seeds} seeds" if seeds > 1 else ""
    return f"Winner: {record.winner}, as trained in {trial.run} with seed {seed_of(record)}{middle}; {score}."


def _figures(split: str | None, mean_return: Interval | None, pnl_e6: int) -> str:
    if split is None or mean_return is None:
        return "Test: not judged; no test event was opened for it."
    return (
        f"{split.capitalize()}: {interval_text(mean_return)} of the capital a block, profit after fees "
        f"{dollars(pnl_e6)}."
    )


def _checkup(
    split: str | None, findings: Sequence[Finding], errors: Sequence[Finding], registered: Registered | None
) -> str:
    told = [f"{f.rule}: {f.message}" for f in errors]
    known = {f.rule for f in errors}
    if registered is not None:
        told += [flaw.words for flaw in registered.flaws if flaw.rule not in known]
    if told:
        return f"Checkup: {_several(len(told), 'error')}. {'; '.join(told)}."
    if split is None:
        return "Checkup: not made, for there is no report."
    warnings = sum(f.severity == "warning" for f in findings)
    return f"Checkup: no error, {_several(warnings, 'warning')}."


def _registered(registered: Registered | None) -> str:
    if registered is None:
        return "Registered: nothing."
    return (
        f"Registered: {registered.model} ({registered.run}, seed {registered.seed}). "
        f"{registered.words[:1].upper()}{registered.words[1:]}."
    )


def _several(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
