"""Promotion: an alias is given to a model after its evidence is gathered and judged.

A refusal changes nothing.

Rule   ``challenger`` asks only that the model loads and fits this program. Models trade from every other
       alias, so it is gated against the model that the alias names now.
Races  the log of aliases is read before the evidence is gathered: a change in between refuses this one.
"""

from typing import NamedTuple

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.promotion.evidence import Measure, gather_evidence
from kalshi_platform.evaluation.promotion.gates import GateConfig, judge
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.models.registry.aliases import AliasEntry, check_alias
from kalshi_platform.models.registry.evidence import GateJudgement
from kalshi_platform.models.registry.load import load_model
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
    judgement = judge(evidence, gates)
    if not judgement.passed:
        return Promotion(judgement, None)
    digest = registry.add_judgement(judgement)
    reason = reason or "passed every gate"
    return Promotion(judgement, registry.promote(alias, model, reason=reason, evidence=digest, seen=seen))
