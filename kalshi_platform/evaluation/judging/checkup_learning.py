"""Rules of the checkup on how the policy was learned and chosen, and on how many events it is judged."""

import math
from collections.abc import Mapping, Sequence

from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Facts, Finding

#: Numbers of one validation.
Numbers = Mapping[str, object]


def generalisation_gap(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy does much worse on held-out than on training events, else None."""
    held_out, train = facts.result.mean_return, facts.train
    if train is None or train.mean_return.estimate is None or held_out.estimate is None:
        return None
    learned = train.mean_return.estimate
    if learned <= 0 or held_out.estimate >= config.generalisation * learned:
        return None
    low, high = train.mean_return.low, held_out.high
    apart = low is not None and high is not None and high < low
    return Finding(
        severity="warning" if apart else "info",
        rule="generalisation_gap",
        message=f"mean return {100 * held_out.estimate:.3f} % held out, {100 * learned:.3f} % on training "
        f"events ({train.n_blocks} of {train.of_blocks} blocks, drawn with seed {train.seed})"
        f"{'' if apart else '; the intervals overlap'}",
        evidence={
            "held_out": held_out.estimate,
            "train": learned,
            "train_blocks": train.n_blocks,
            "threshold": config.generalisation,
        },
        remedy="train on more events, stop earlier, use a smaller level; the policy remembers its markets",
    )


def validations_of(rows: Sequence[Mapping[str, object]]) -> list[tuple[int, Numbers]]:
    """(iteration, numbers) of each validation, in order; a line without a new one repeats the last."""
    found: list[tuple[int, Numbers]] = []
    for row in rows:
        numbers, iteration = row.get("validation"), row.get("iteration")
        if not isinstance(numbers, Mapping) or "score" not in numbers or not isinstance(iteration, int):
            continue
        if not found or found[-1][1] != numbers:
            found.append((iteration, numbers))
    return found


def _number(numbers: Numbers, name: str) -> float | None:
    value = numbers.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _best(found: list[tuple[int, Numbers]]) -> int | None:
    """Place of the best validation, the first of equals as training chooses; None where none has a score."""
    scores = [_number(numbers, "score") for _, numbers in found]
    known = [k for k, score in enumerate(scores) if score is not None]
    return max(known, key=lambda k: (scores[k], -k), default=None)


def chosen_before_learning(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the run's best validation is one of its first, else None."""
    found = validations_of(facts.training_metrics)
    best = _best(found)
    if best is None or len(found) < config.min_validations:
        return None
    early = max(1, int(config.early_share * len(found)))
    if best >= early:
        return None
    iteration, numbers = found[best]
    return Finding(
        severity="warning",
        rule="chosen_before_learning",
        message=f"the best policy is of iteration {iteration}, validation {best + 1} of {len(found)}: "
        f"nothing learned in the {found[-1][0] - iteration} iterations after it scored higher",
        evidence={
            "iteration": iteration,
            "validation": best + 1,
            "validations": len(found),
            "score": _number(numbers, "score") or 0.0,
            "threshold": early,
        },
        remedy="an untrained network won, as where trading less is better than trading: look at the "
        "validation curve, then at fees, the reward and the features; this policy is no trained one",
    )


def do_nothing_winner(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy was chosen for a validation in which it did not trade, else None."""
    found = validations_of(facts.training_metrics)
    best = _best(found)
    if best is None:
        return None
    iteration, numbers = found[best]
    return idle_winner(f"the best policy of the run (iteration {iteration})", _number(numbers, "trade_rate"))


def idle_winner(who: str, trade_rate: float | None) -> Finding | None:
    """Return a Finding about a winner that did not trade in the validation that chose it, else None."""
    if trade_rate is None or trade_rate > 0:
        return None
    return Finding(
        severity="error",
        rule="do_nothing_winner",
        message=f"{who} was chosen for doing nothing: it sent 0 orders in the validation that it won",
        evidence={"trade_rate": trade_rate, "threshold": 0},
        remedy="all others lost more, so none is worth using: change features, fees or reward, train again",
    )


def too_few_events(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find too few independent draws, which are blocks, for any interval to be trusted."""
    n = facts.result.n_blocks
    if n >= config.min_events:
        return None
    return Finding(
        severity="info",
        rule="too_few_events",
        message=f"judged on only {n} independent block{'' if n == 1 else 's'} "
        f"({facts.result.n_events} events): an interval rests on so many draws",
        evidence={"blocks": n, "events": facts.result.n_events, "wanted": config.min_events},
        remedy="record or simulate more events; more episodes of the same events do not help",
    )
