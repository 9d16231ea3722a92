"""The record of how a tier set was made and what it is worth; it lies among the set's files.

Not    the pages made of it (page.py) nor the figures themselves (judge.py, thresholds.py).
"""

import json
from typing import Final

from pydantic import Field

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.pages.formats import ms, share
from kalshi_platform.evaluation.statistics.blocks import decides_nothing
from kalshi_platform.models.registry.provenance import SIMULATED, DataCounts, counts_words, standing_of
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import FormRecord, TierSet, tier_artefact
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.judge import Judgement
from kalshi_platform.serving.distillation.students import Learning
from kalshi_platform.serving.distillation.thresholds import Choice

REPORT_VERSION: Final = 1
#: Name of the record among a set's files; a digest stands between prefix and ending.
REPORT_PREFIX: Final = "tier-report-"


class TierReport(Config):
    """Everything a page of a tier set shows."""

    version: int = REPORT_VERSION
    model: str
    dataset: str
    dataset_digest: str
    config: TiersConfig
    learnings: tuple[Learning, ...]
    calibration_events: int
    calibration_blocks: int = Field(0, description="independent observations; 0 in earlier reports")
    calibration_states: int
    choice: Choice
    forms: dict[int, tuple[FormRecord, ...]] = Field(description="tier -> every form that was tried")
    judgement: Judgement
    opened_before: int = Field(0, description="earlier openings of the test split, where that was judged")
    machine: str
    made_at: str
    program: Stamp | None = Field(
        None,
        description="the program that made it, and when; None in earlier reports",
        exclude_if=lambda stamp: stamp is None,
    )
    wall_s: float = Field(description="making the set, or judging it again")
    judged_on: DataCounts | None = Field(
        None,
        description="events and blocks that judged, by provenance; None: made before they were counted",
        exclude_if=lambda counts: counts is None,
    )

    @property
    def caution(self) -> str:
        """Sentence on what these figures say nothing about; empty where real data judged."""
        standing, words = standing_of(self.judged_on), counts_words(self.judged_on)
        if standing == SIMULATED:
            return f"simulated: judged on {words}; real markets may be otherwise"
        return "simulated or not is unknown: nobody counted the data" if standing == "unknown" else ""

    @property
    def verdict(self) -> str:
        """One sentence on what the cascade saves and costs."""
        j = self.judgement
        early = sum(t.exit_share for t in j.tiers[:-1])
        if j.value_kept is not None and j.value_kept.estimate is not None:
            asked = 1 - self.config.thresholds.max_value_loss
            kept = f"{share(j.value_kept.estimate)} of the champion's return kept ({share(asked)} asked for)"
        elif j.difference.estimate is not None:
            kept = f"{j.difference.estimate:+.3%} of capital a block against the champion's return"
        else:
            kept = "no block to compare returns on"
        if few := decides_nothing(j.difference.n_clusters):
            kept = f"{kept} ({few})"
        worth = "" if j.saves else "Saves no time: the champion alone is as quick. "
        return (
            f"{worth}{share(early)} of the groups leave before the champion is asked; expected "
            f"{ms(j.expected_ms)} instead of {ms(j.champion_expected_ms)}, {self.way_to_tier_3}; "
            f"{share(j.agreement)} of the actions are the champion's; {kept}."
        )

    @property
    def way_to_tier_3(self) -> str:
        """Words on where a replica asks tier 3, which decides what the cascade can save."""
        added_ms = self.judgement.hop_ms
        if added_ms is None:  # of a release that knew no tier 3 inside the replica
            added_ms = self.config.thresholds.tier_3_hop_ms
        return f"with a hop of {ms(added_ms)} to tier 3" if added_ms else "tier 3 inside the replica, no hop"


def stored_report(registry: Registry, tier_set: TierSet) -> TierReport:
    """Read the report made together with ``tier_set``; DataError where it is missing or damaged."""
    name = next((n for n in tier_set.artefacts if n.startswith(REPORT_PREFIX)), None)
    if name is None:
        raise DataError(f"{registry.uri}: the tiers of {tier_set.model} hold no report; build them again")
    try:
        return TierReport.parse(json.loads(tier_artefact(registry, tier_set, name)))
    except (ValueError, ContractError) as err:
        raise DataError(f"{registry.uri}: {tier_set.model}/{name} cannot be read ({err})") from None
