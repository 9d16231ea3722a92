"""The record of how a tier set was made and what it is worth; it lies among the set's files.

Not    the pages made of it (page.py) nor the figures themselves (judge.py, thresholds.py).
"""

from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.evaluation.pages.formats import ms, share
from kalshi_platform.models.registry.provenance import SIMULATED, DataCounts, counts_words, standing_of
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import FormRecord, TierSet, tier_artefact
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.judge import Judgement
from kalshi_platform.serving.distillation.kept import ReturnVerdict, kept_verdict
from kalshi_platform.serving.distillation.students import Learning
from kalshi_platform.serving.distillation.thresholds import Choice, good_enough
from kalshi_platform.serving.inference.saving import expected_ms

REPORT_VERSION: Final = 1
#: Name of the record among a set's files; a digest stands between prefix and ending.
REPORT_PREFIX: Final = "tier-report-"


class Case(NamedTuple):
    """Expected ms of a group in one of two cases: tier 3 inside the replica, or in a process of its own."""

    hop_ms: float  # that tier 3 costs beside its own time; 0 inside the replica
    alone_ms: float  # tier 3 decides every group that has a choice
    tiers_ms: float  # the cascade, with the shares of the judging blocks
    best_ms: float | None  # the quickest exits that were good enough on the calibrating blocks

    @property
    def saved_ms(self) -> float:
        """Time that the cascade saves over tier 3 alone; negative where it costs time."""
        return self.alone_ms - self.tiers_ms

    @property
    def where(self) -> str:
        """Words for the place of tier 3."""
        if self.hop_ms:
            return f"tier 3 in a process of its own, behind a hop of {ms(self.hop_ms)}"
        return "tier 3 inside the replica, no hop"

    @property
    def words(self) -> str:
        """Words for both times and the place."""
        return f"{self.words_alone} ({self.where})"

    @property
    def words_alone(self) -> str:
        """Words for both times."""
        return f"{ms(self.tiers_ms)} a group with the tiers, {ms(self.alone_ms)} with tier 3 alone"


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
        """Say what the tiers save, what they keep of the return, and what the service does about it."""
        return " ".join((self.time_words, self.kept_words, self.service_words))

    @property
    def case(self) -> Case:
        """The case that a service with the settings of this report runs: tier 3 inside the replica or not."""
        return self._case(self.config.thresholds.hop_ms(self._p50_ms[3]))

    @property
    def other_case(self) -> Case:
        """The case that it does not run."""
        return self._case(0.0 if self.case.hop_ms else self.config.thresholds.tier_3_hop_ms)

    @property
    def saves(self) -> bool:
        """True where exits before tier 3 save as much as was asked for, in the case that the service runs."""
        return self.case.saved_ms >= self.config.thresholds.least_saving_ms

    @property
    def kept(self) -> ReturnVerdict:
        """Pass or fail of the share of the model's return that was asked for, on the judging blocks."""
        return kept_verdict(self.judgement, 1 - self.config.thresholds.max_value_loss)

    @property
    def is_stored(self) -> bool:
        """True where ``tiers build`` stores the set: one that saves no time still stands in for tier 3."""
        return self.config.thresholds.for_fallback or not self.kept.surely_fails

    @property
    def has_exits(self) -> bool:
        """True where groups may leave before tier 3."""
        return any(t.exit_threshold is not None for t in self.judgement.tiers)

    @property
    def time_words(self) -> str:
        """Sentences on the time of a group in both cases: tier 3 inside the replica, and behind a hop."""
        here, other = self.case, self.other_case
        best = "" if here.best_ms is None else f" The best exits allowed would take {ms(here.best_ms)}."
        if not self.has_exits:
            found = (
                f"The tiers save nothing here: no exits save {ms(self.config.thresholds.least_saving_ms)} a "
                f"group or more, so tier 3 decides every group, in {ms(here.alone_ms)} ({here.where}).{best}"
            )
        elif self.saves:
            found = f"The tiers save time: {here.words}."
        elif here.saved_ms <= 0:
            found = f"The tiers save nothing here: tier 3 alone is faster. {_capital(here.words)}."
        else:
            least = ms(self.config.thresholds.least_saving_ms)
            found = f"The tiers save next to nothing ({least} a group was asked for): {here.words}."
        return f"{found} Were {other.where}: {other.words_alone}."

    @property
    def kept_words(self) -> str:
        """Sentences on who decided and what was kept, from the judging blocks alone."""
        j = self.judgement
        if not self.has_exits:
            return "Nothing of the model's return can be lost: it decides everything itself."
        early = sum(t.exit_share for t in j.tiers[:-1])
        return (
            f"On the {j.n_blocks or j.n_events} judging blocks {share(early)} of the groups leave before "
            f"tier 3, and {share(j.agreement)} of the actions are the model's. {self.kept.words}."
        )

    @property
    def service_words(self) -> str:
        """Sentence on what the service does with this set, and by whose setting."""
        if not self.saves:
            return (
                "A service asks tier 3 alone and decides exactly as the model; tiers 1 and 2 of a stored set "
                "only answer where tier 3 fails or is late."
            )
        asked = f"--max-value-loss {self.config.thresholds.max_value_loss:g}"
        first = "A service asks tiers 1 and 2 first"
        if self.kept.word == "PASS":
            return f"{first}."
        if self.kept.surely_fails:
            return (
                "`tiers build` does not store such a set; a service that finds it stored asks tiers 1 and "
                f"2 first: build it again with less than {asked}."
            )
        return (
            f"{first} all the same: the exits kept what {asked} asks for on the calibrating half, and the "
            f"judging half does not show that they lose it. Less than {asked} makes them more careful."
        )

    @property
    def _p50_ms(self) -> dict[int, float]:
        return {t.number: t.p50_ms for t in self.judgement.tiers}

    def _case(self, hop_ms: float) -> Case:
        """Times of a group where tier 3 costs ``hop_ms`` beside its own time."""
        tiers, p50 = self.judgement.tiers, self._p50_ms
        shares = {t.number: t.exit_share for t in tiers}
        first, second = (t.exit_threshold for t in tiers[:2])
        allowed = [
            expected_ms(pair.exit_shares, pair.first, pair.second, p50, hop_ms)
            for pair in good_enough(self.choice.pairs, self.choice.champion_return, self.config.thresholds)
            if (pair.first, pair.second) != (None, None)
        ]
        return Case(
            hop_ms=hop_ms,
            alone_ms=sum(shares.values()) * (p50[3] + hop_ms),
            tiers_ms=expected_ms(shares, first, second, p50, hop_ms),
            best_ms=min(allowed, default=None),
        )


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def stored_report(registry: Registry, tier_set: TierSet) -> TierReport:
    """Read the report made together with ``tier_set``; DataError where it is missing or damaged."""
    name = next((n for n in tier_set.artefacts if n.startswith(REPORT_PREFIX)), None)
    if name is None:
        raise DataError(f"{registry.uri}: the tiers of {tier_set.model} hold no report; build them again")
    try:
        return TierReport.parse(json_value(tier_artefact(registry, tier_set, name)))
    except (ValueError, ContractError) as err:
        raise DataError(f"{registry.uri}: {tier_set.model}/{name} cannot be read ({err})") from None
