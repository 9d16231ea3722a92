"""Publishing: a finished run is registered, its tiers are made, and the gates decide whether it is champion.

Rule   the model becomes challenger, which promises nothing, unless it is flawed and a better one is there
       (evaluation/promotion/challenge.py); champion only through the gates.
Tiers  with too little data to make and judge tiers, or where they save no time, the whole network is served
       alone, and the log says so.
Repeat a model, tier set or alias that is there already is kept.
"""

from pathlib import Path
from typing import NamedTuple

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.saying import Say, passing
from kalshi_platform.evaluation.promotion.challenge import challenge
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.evaluation.promotion.registration import register_run
from kalshi_platform.models.registry.marks import marks_of
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set
from kalshi_platform.serving.distillation.build import build_tiers
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.report import TierReport, stored_report


class Published(NamedTuple):
    """Result of publishing a run: the model's record, its tiers, and whether it is champion."""

    record: ModelRecord
    tier_set: TierSet | None  # None: too little data to make one, or it saves nothing
    tier_report: TierReport | None  # None: too little data
    champion: bool
    refusals: tuple[str, ...]  # words of the gates that refused
    cautions: tuple[str, ...]  # what every answer of the model says of it
    challenger: bool = True  # False: held back, because a better one is challenger


def publish_run(
    registry: Registry, run: Path, dataset_uri: str, tiers: TiersConfig | None = None, say: Say = print
) -> Published:
    """Register the best policy of ``run``, make its tiers and ask the gates.

    Each step raises its own errors.
    """
    passing(say)(f"registering {run.name} in {registry.uri}")
    record = register_run(registry, run, dataset_uri, say=say)
    say(f"registered {record.id} in {registry.uri}")
    asked = challenge(registry, record)
    say(asked.words)
    # Before it may be champion: a server that follows the alias finds the tiers with the model.
    tier_set, report = newest_tier_set(registry, record.id), None
    if tier_set is not None:
        report = stored_report(registry, tier_set)
    else:
        try:
            report, tier_set = build_tiers(registry, record.id, dataset_uri, tiers, say)
        except DataError as err:
            say(f"no tiers, every decision will ask the whole network: {err}")
    log = registry.aliases()
    marks = marks_of(record, log, CHAMPION)
    # A champion of before the data were counted is judged once more: else it would pass for simulated.
    if log.model(CHAMPION) == record.id and marks.standing != "unknown":
        return Published(record, tier_set, report, True, (), marks.cautions)
    judged = promote_model(registry, record.id, dataset_uri, say=say)
    refusals = judged.judgement.refusals if judged.judgement and judged.entry is None else ()
    if refusals:
        say(f"not champion: {'; '.join(refusals)}")
    else:
        say(f"champion: {record.id}")
    log = registry.aliases()
    alias = CHAMPION if log.model(CHAMPION) == record.id else CHALLENGER
    cautions = marks_of(record, log, alias).cautions
    return Published(record, tier_set, report, alias == CHAMPION, refusals, cautions, asked.taken)
