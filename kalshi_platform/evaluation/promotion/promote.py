"""Promotion: an alias is given to a model after its evidence is gathered and judged.

A refusal changes nothing.

Rule   ``challenger`` asks only that the model loads and fits this program. Models trade from every other
       alias, so it is gated against the model that the alias names now.
Marks  a model judged on simulated data gets an alias as ``simulated``, and only where no other one had it.
Races  the log of aliases is read before the evidence is gathered: a change in between refuses this one.
"""

from typing import NamedTuple

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.promotion.evidence import Measure, gather_evidence
from kalshi_platform.evaluation.promotion.gates import GateConfig, judge
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog, check_alias
from kalshi_platform.models.registry.evidence import GateJudgement
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.marks import latest_not_simulated, marks_of
from kalshi_platform.models.registry.provenance import standing_of
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry


class Promotion(NamedTuple):
    """Result of a promotion; ``entry`` is None where the gates refused."""

    judgement: GateJudgement | None
    entry: AliasEntry | None


def promote_model(
    registry: Registry,
    name: str,
    dataset_uri: str | None = None,
    *,
    alias: str = CHAMPION,
    reason: str = "",
    gates: GateConfig | None = None,
    config: EvalConfig | None = None,
    measure: Measure = measure_latency,
    say: Say = silent,
) -> Promotion:
    """Give ``alias`` to the model ``name`` (an alias or an id) where the gates allow it.

    ``dataset_uri`` is needed by every alias but challenger. LimitError where somebody else changed the alias
    meanwhile. An alias without gates refuses a model that ``load_model`` refuses, with the same error.
    """
    check_alias(alias)
    model, seen = registry.resolve(name), registry.aliases()
    if alias == CHALLENGER:
        load_model(registry, model)
        return Promotion(None, registry.promote(alias, model, reason=reason or "challenges", seen=seen))
    if dataset_uri is None:
        raise ContractError(f"alias {alias!r} is gated: give --dataset, the dataset the model was trained on")
    evidence = gather_evidence(
        registry, model, dataset_uri,
        champion=seen.model(alias), config=config, measure=measure, say=say,
    )  # fmt: skip
    evidence = evidence.replace(**_alias_past(registry, seen, alias, model))
    gates = gates or GateConfig()
    judgement = judge(evidence, gates)
    if not judgement.passed:
        return Promotion(judgement, None)
    digest = registry.add_judgement(judgement)
    standing = standing_of(evidence.judged_on, gates.min_recorded_blocks)
    entry = registry.promote(
        alias, model, reason=reason or "passed every gate", evidence=digest,
        standing=standing, judged_on=evidence.judged_on, seen=seen,
    )  # fmt: skip
    return Promotion(judgement, entry)


def _alias_past(registry: Registry, log: AliasLog, alias: str, model: str) -> dict[str, str | None]:
    """Facts of the alias's past that the gate of recorded data asks for, as fields of the evidence."""
    champion = log.model(alias)
    standing = None
    if champion is not None and registry.holds(champion):
        standing = marks_of(registry.record(champion), log, alias).standing
    return {
        "champion_standing": standing,
        "not_simulated": latest_not_simulated(registry, log, alias, model),
    }
