"""Registers the run that won a sweep, as it was judged.

Invariant  the run that is registered is the run that was judged: a report of another run is refused.
"""

from pathlib import Path

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.saying import Say, note
from kalshi_platform.evaluation.judging.evaluation import Evaluation
from kalshi_platform.evaluation.judging.report import JSON_NAME, read_report
from kalshi_platform.evaluation.promotion.challenge import challenge
from kalshi_platform.evaluation.promotion.evidence import flaws_of
from kalshi_platform.evaluation.promotion.registration import register_run
from kalshi_platform.learning.tuning.registered import REGISTERED_FILE, Registered, read_registered, seed_of
from kalshi_platform.learning.tuning.sweep_record import SweepRecord
from kalshi_platform.models.registry.flaws import Fitness
from kalshi_platform.models.registry.record import with_flaws
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.storage.whole_file import write_whole


def register_judged(
    record: SweepRecord, run: Path, judged: Path, registry: Registry, reason: str, say: Say
) -> Registered:
    """Register ``run``, the winner's, with what its reports below ``judged`` found, and ask for the alias.

    A resumed sweep that registered it before asks for nothing again: the challenger of a later sweep stays.
    DataError where a report in ``judged`` is of another run.
    """
    found = [
        flaw for report in _reports(judged, run) for flaw in flaws_of(report.findings, report.config.split)
    ]
    if (before := _before(record, judged, registry)) is not None and set(found) <= set(before.flaws):
        note(say)(f"{before.model} was registered before, in {registry.uri}; aliases stay as they are")
        return before
    model = register_run(registry, run, record.dataset, flaws=found, say=say)
    say(f"registered {model.id} in {registry.uri}")
    if untold := [flaw for flaw in dict.fromkeys(found) if flaw not in model.flaws]:
        # A record never changes; who becomes challenger goes by all that is known.
        words = "; ".join(flaw.words for flaw in untold)
        say(f"warning: {model.id} was registered before this was found: {words}. Its record does not say so")
        model = with_flaws(model, untold)
    asked = challenge(registry, model, reason)
    say(asked.words)
    registered = Registered(
        model=model.id,
        registry=registry.uri,
        run=record.winner_run or "",
        seed=seed_of(record),
        is_challenger=asked.taken,
        challenger=asked.challenger,
        idle=model.fitness is Fitness.IDLE,
        flaws=model.flaws,
        words=asked.words,
    )
    judged.mkdir(parents=True, exist_ok=True)
    text = json_text(registered.model_dump(mode="json"), indent=1) + "\n"
    write_whole(judged / REGISTERED_FILE, text)
    return registered


def _before(record: SweepRecord, judged: Path, registry: Registry) -> Registered | None:
    """Record of an earlier registration of the same run, where ``registry`` still has it; else None."""
    try:
        found = read_registered(judged)
    except DataError:
        return None  # damaged: it is written again
    if found is None or (found.run, found.registry) != (record.winner_run, registry.uri):
        return None
    return found if registry.holds(found.model) else None


def _reports(judged: Path, run: Path) -> list[Evaluation]:
    """Reports on the winner that are there: of the test events, and of the validation events."""
    found = []
    for path in (judged / JSON_NAME, judged / "validation" / JSON_NAME):
        if not path.is_file():
            continue
        report = read_report(path)
        if Path(report.subject.checkpoint).name != run.name:
            raise DataError(
                f"{path} judges {report.subject.checkpoint}, but the run to register is {run}: delete "
                f"{judged} (with a --storage there as well) and repeat with --resume, which judges it again"
            )
        found.append(report)
    return found
