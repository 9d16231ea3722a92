"""Promotion gates: rules that a model must pass before it may trade, as pure functions of the evidence.

Owns   GateConfig (the thresholds), one function a gate, and the words of every refusal.
Units  as in models/registry/evidence.py.
Rule   a gate that cannot be judged is not passed.
"""

from collections.abc import Iterable
from typing import Final

from pydantic import Field

from kalshi_platform.domain.actions import ACTION_NAMES, HOLD
from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.models.networks.levels import LEVELS
from kalshi_platform.models.registry.evidence import (
    CLAIMS_DATASET,
    Estimate,
    Evidence,
    GateJudgement,
    GateResult,
    Match,
    Performance,
    TrainedRule,
)
from kalshi_platform.models.registry.provenance import (
    MIN_RECORDED_BLOCKS,
    SIMULATED,
    counts_words,
    real_blocks,
    standing_of,
)

_NO_RETURN: Final = Estimate(value=None, low=None, high=None)
_HOLD: Final = ACTION_NAMES[HOLD]
_DIRTY: Final = "-dirty"
_NOTHING: Final = "do_nothing"
_ALLOWED: Final = "interval above 0 against nothing and the best rule, estimate above 0 against the others"


class GateConfig(Config):
    """Thresholds of the gates."""

    beat_best_rule: bool = Field(
        True,
        description="the best rule on training events must be beaten too; without it a champion may be no "
        "better than one line of code",
    )
    max_action_share: float = Field(
        0.95, gt=0, le=1, description="of the decisions that trade, one action's largest share"
    )
    max_hold_share: float = Field(
        0.999, gt=0, le=1, description="share of HOLD among all decisions; a policy may be patient, not idle"
    )
    min_entropy_share: float = Field(
        0.01, ge=0, lt=1, description="a policy below it has one answer to everything"
    )
    fee_scale: float = Field(
        2.0,
        gt=0,
        description="still profitable at so many times the fees: the room for fills worse than simulated. "
        "The fee ladder's next rung above full is double; 1.5 would need a rollout of its own",
    )
    max_drawdown: float = Field(
        0.25,
        gt=0,
        le=1,
        description="worst fall in one market, share of its capital. A default position at its limit ($50 of "
        "$200) can lose a quarter; falling further means losing it more than once",
    )
    latency_budget_ms: dict[str, float] = Field(
        {level.name: level.latency_budget_ms for level in LEVELS.values()},
        description="99th percentile of one decision, by level",
    )
    replace_unplayable: bool = Field(
        False,
        description="pass without a comparison where the champion cannot be played by this program, as "
        "after a new feature table; otherwise no model could ever follow it",
    )
    min_recorded_blocks: int = Field(
        MIN_RECORDED_BLOCKS,
        ge=MIN_BLOCKS,
        description="blocks of recorded data that judge it (quotes, trade-implied books count); with fewer, "
        "beside simulated ones, it can be champion only as marked simulated",
    )
    claim_tolerance: float = Field(
        1e-4, ge=0, description="how far claims may lie from what is found: rounding differs between machines"
    )


def judge(evidence: Evidence, config: GateConfig | None = None) -> GateJudgement:
    """Every gate's answer, in the order in which they are read."""
    config = config or GateConfig()
    results = [
        digests_equal(evidence.digests),
        dataset_same(evidence),
        clean_tree(evidence.commit),
    ]
    if (found := evidence.found) is None:
        results.append(_gate("played", False, "not played", "played", evidence.why_not))
    else:
        results += [
            claims_hold(evidence, found, config),
            judged_on_recorded(evidence, config),
            beats_baselines(found, config),
            beats_champion(evidence, config),
            actions_vary(found, config),
            entropy_left(found, config),
            survives_fees(found, config),
            drawdown_bounded(found, config),
            fast_enough(evidence.level, found, config),
        ]
    return GateJudgement(evidence=evidence, gates=config.model_dump(mode="json"), results=tuple(results))


def digests_equal(digests: Iterable[Match]) -> GateResult:
    """Check that observation, actions and features mean to this program what they meant in training."""
    changed = [m for m in digests if not m.equal]
    words = "; ".join(
        f"the {m.name} digest is {m.found} in this program, the model was trained with {m.recorded}"
        for m in changed
    )
    return _gate(
        "digests", not changed, _names(changed, "all equal"), "all equal", f"stale model: {words}; train anew"
    )


def dataset_same(evidence: Evidence) -> GateResult:
    """Check that one dataset, grown since or not, trained the model, gave its claims and judges it."""
    changed = [m for m in evidence.datasets if not m.fits]
    words = "; ".join(f"its {m.name} is {m.recorded}, the one opened is {m.found}" for m in changed)
    grown = [f"{m.name} {m.recorded} grew to {m.found}" for m in evidence.datasets if m.grown]
    return _gate(
        "dataset",
        not changed,
        _names(changed, "; ".join(grown) or "the same"),
        "the same, or grown from it",
        f"stale model: {words}; judge it on its own dataset or one that grew from it, or train on this one",
    )


def clean_tree(commit: str | None) -> GateResult:
    """Check that the code that trained the model is a commit one can go back to."""
    if commit is None:
        words = (
            "the run records no commit, so nobody can go back to the code that trained it; "
            "train in a git checkout"
        )
    else:
        words = f"it was trained from a changed checkout ({commit}); commit the changes and train again"
    clean = commit is not None and not commit.endswith(_DIRTY)
    return _gate("clean tree", clean, commit or "unknown", "a commit without changes", words)


def claims_hold(evidence: Evidence, found: Performance, config: GateConfig) -> GateResult:
    """Compare the record's claims with what was found; latency is left out, it belongs to the machine.

    Claims of an earlier state of the dataset are about fewer events, so nothing is compared with them: all
    other gates judge what was found now.
    """
    claimed, allowed = evidence.claimed, f"within {config.claim_tolerance:g}"
    if claimed is None:
        return _gate("claims", False, "no claims", allowed, "it was registered without being judged")
    if older := next((m for m in evidence.datasets if m.name == CLAIMS_DATASET and m.grown), None):
        found_words = f"of the earlier state {older.recorded}, judged anew on {older.found}"
        return _gate("claims", True, found_words, allowed, "")
    pairs = {
        "mean return": (claimed.mean_return.value, found.mean_return.value),
        "lower bound": (claimed.mean_return.low, found.mean_return.low),
        "worst drawdown": (claimed.worst_drawdown, found.worst_drawdown),
        "trade rate": (claimed.trade_rate, found.trade_rate),
    }
    off = {name: pair for name, pair in pairs.items() if not _close(*pair, config.claim_tolerance)}
    words = "; ".join(
        f"it claims a {name} of {_number(a)}, found {_number(b)}" for name, (a, b) in off.items()
    )
    return _gate("claims", not off, ", ".join(off) or "agree", allowed, words)


def beats_baselines(found: Performance, config: GateConfig) -> GateResult:
    """Check that the model beats doing nothing, the best rule on training events, and all other baselines.

    The paired difference to the first two must have its whole interval above zero, to the others its
    estimate.
    """
    if not found.baselines:
        return _gate("baselines", False, "none played", _ALLOWED, "no baseline was played beside it")
    best = found.rules.best if found.rules else None
    names = {_NOTHING: "doing nothing"}
    if config.beat_best_rule:
        if best is None:
            return _gate("baselines", False, "no rule chosen", _ALLOWED, _no_rule(found))
        names[best.name] = f"the best rule on training events, {best.words}"
    waived = {best.name} - set(names) if best else set()
    lost = []
    for name, words in names.items():
        gap = found.baselines.get(name)
        if gap is None:
            lost.append(f"{words} was not played beside it")
        elif not _above_zero(gap):
            lost.append(
                f"it is not shown to beat {words}: difference {_interval(gap)}, its interval must lie above 0"
            )
    for name, gap in found.baselines.items():
        if name not in names and name not in waived and not (gap.value is not None and gap.value > 0):
            lost.append(f"it earns no more than {name}: difference {_interval(gap)}, it must be above 0")
    return _gate("baselines", not lost, _against(found, best), _ALLOWED, "; ".join(lost))


def _against(found: Performance, best: TrainedRule | None) -> str:
    """Difference to the best rule, in words."""
    if best is None:
        return "no rule chosen"
    shown = found.baselines.get(best.name)
    return f"{best.words}: {_interval(shown) if shown else 'not played'}"


def _no_rule(found: Performance) -> str:
    """Words of the refusal where no rule was chosen on training events."""
    why = found.rules.why_not if found.rules else "nobody chose one"
    return (
        f"no rule was chosen on training events ({why}), so nobody knows whether a rule of one line earns as "
        "much: judge it on a dataset whose train split can be played"
    )


def judged_on_recorded(evidence: Evidence, config: GateConfig) -> GateResult:
    """Check that blocks of recorded data judged the model, with a return on them above zero.

    A model that simulated data judged passes as well, to be marked simulated, where the alias never named
    another one.
    """
    counts, least = evidence.judged_on, config.min_recorded_blocks
    n, standing = real_blocks(counts or {}), standing_of(counts, least)
    allowed = f">= {least} recorded blocks, their return above 0"
    if standing == SIMULATED:
        other = evidence.not_simulated
        words = (
            f"it was judged on simulated data ({counts_words(counts)}), and {other} had this alias, which is "
            f"not marked simulated: judge it on {least} blocks of recorded data, or use another registry or "
            f"alias (where {other} is simulated too, promote it again to have it judged anew)"
        )
        return _gate("recorded", other is None, f"simulated: {counts_words(counts)}", allowed, words)
    found = f"{counts_words(counts)}, return {_interval(evidence.real_return or _NO_RETURN)}"
    if n < least:
        fewer = f", or accept fewer with --gate min_recorded_blocks={n}" if n >= MIN_BLOCKS else ""
        words = (
            f"only {n} blocks of recorded data judged it ({counts_words(counts)}), {least} are asked for: "
            f"add recordings to its dataset (kalshi-platform dataset build --add FILE --to DATASET){fewer}"
        )
        return _gate("recorded", False, found, allowed, words)
    real = evidence.real_return or _NO_RETURN
    words = f"on recorded data alone its mean return is {_interval(real)}: its interval must lie above 0"
    return _gate("recorded", _above_zero(real), found, allowed, words)


def beats_champion(evidence: Evidence, config: GateConfig) -> GateResult:
    """Check the same against the present champion.

    Passed where there is none, where the model is the champion, and where recorded data judged the model and
    the champion is marked simulated.
    """
    champion, gap = evidence.champion, evidence.against_champion
    if champion is None or champion == evidence.model:
        return _gate("champion", True, "no other champion", "interval above 0", "")
    is_real = standing_of(evidence.judged_on, config.min_recorded_blocks) == "real"
    if is_real and evidence.champion_standing == SIMULATED:
        shown = "not compared" if gap is None else _interval(gap)
        return _gate("champion", True, f"{shown}; the champion is simulated", "interval above 0", "")
    if gap is None:
        words = (
            f"it was not compared with the champion {champion}: {evidence.why_not}. Roll back to one that "
            "this program can play, or accept the change unseen with --gate replace_unplayable=true"
        )
        return _gate("champion", config.replace_unplayable, "not compared", "interval above 0", words)
    words = f"it is not better than the champion {champion}: difference {_interval(gap)} on the same episodes"
    return _gate("champion", _above_zero(gap), _interval(gap), "interval above 0", words)


def actions_vary(found: Performance, config: GateConfig) -> GateResult:
    """Check that neither one trade nor HOLD is the model's answer to nearly everything."""
    shares = found.action_shares
    trades = {name: n for name, n in found.action_counts.items() if name != _HOLD}
    total = sum(trades.values())
    top = max(trades, key=lambda name: trades[name]) if total else _HOLD
    share, hold = (trades[top] / total if total else 0.0), shares.get(_HOLD, 0.0)
    allowed = f"a trade <= {config.max_action_share:.0%}, HOLD <= {config.max_hold_share:.1%}"
    words = f"collapsed: {share:.1%} of its trades are {top}, at most {config.max_action_share:.0%} may be"
    if hold > config.max_hold_share or not total:
        words = f"collapsed: {hold:.2%} of its decisions are HOLD, at most {config.max_hold_share:.1%} may be"
    passed = bool(total) and share <= config.max_action_share and hold <= config.max_hold_share
    return _gate("actions", passed, f"{top} {share:.1%}, HOLD {hold:.1%}", allowed, words)


def entropy_left(found: Performance, config: GateConfig) -> GateResult:
    """Check that the model's probabilities are not all zeros and ones."""
    entropy, floor = found.entropy_share, config.min_entropy_share
    words = (
        f"collapsed: its probabilities keep {_number(entropy)} of the largest entropy, "
        f"at least {floor:g} is asked"
    )
    passed = entropy is not None and entropy >= floor
    return _gate("entropy", passed, _number(entropy), f">= {floor:g}", words)


def survives_fees(found: Performance, config: GateConfig) -> GateResult:
    """Check that the mean return stays above zero at a multiple of the fees."""
    scale = config.fee_scale
    at = next((f.mean_return for f in found.fees if f.scale == scale), None)
    if at is None:
        return _gate("fees", False, "not played", "> 0", f"it was not played at {scale:g} times the fees")
    words = (
        f"at {scale:g} times the fees its mean return is {_interval(at)}: the edge is smaller than the fees"
    )
    return _gate(
        "fees", at.value is not None and at.value > 0, _interval(at), f"> 0 at {scale:g} x fees", words
    )


def drawdown_bounded(found: Performance, config: GateConfig) -> GateResult:
    """Check that no single market costs more than the bound at any time."""
    words = (
        f"in its worst market it falls by {found.worst_drawdown:.2%} of the capital, "
        f"at most {config.max_drawdown:.2%} is allowed (worst return {found.worst_market_return:+.1%} "
        f"in {found.worst_market})"
    )
    return _gate(
        "drawdown",
        found.worst_drawdown <= config.max_drawdown,
        f"{found.worst_drawdown:.1%}",
        f"<= {config.max_drawdown:.1%}",
        words,
    )


def fast_enough(level: str, found: Performance, config: GateConfig) -> GateResult:
    """Check that the 99th percentile of a decision's time is within the budget of the model's level."""
    budget, latency = config.latency_budget_ms.get(level), found.latency
    if budget is None:
        words = f"level {level!r} has no latency budget; there are {', '.join(config.latency_budget_ms)}"
        return _gate("latency", False, f"{latency.p99_ms:.2f} ms", "a budget", words)
    words = (
        f"too slow: a decision takes {latency.p99_ms:.2f} ms at the 99th percentile, "
        f"level {level} may take {budget:g} ms"
    )
    return _gate(
        "latency", latency.p99_ms <= budget, f"p99 {latency.p99_ms:.2f} ms", f"<= {budget:g} ms", words
    )


def _gate(name: str, passed: bool, found: str, allowed: str, words: str) -> GateResult:
    return GateResult(name=name, passed=passed, found=found, allowed=allowed, words="" if passed else words)


def _above_zero(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.low > 0.0


def _close(a: float | None, b: float | None, tolerance: float) -> bool:
    return a == b if a is None or b is None else abs(a - b) <= tolerance


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}"


def _interval(estimate: Estimate) -> str:
    """A return with its interval, in % of capital."""
    bounds = "no interval" if estimate.low is None else f"{_return(estimate.low)} .. {_return(estimate.high)}"
    return f"{_return(estimate.value)} of capital ({bounds})"


def _return(value: float | None) -> str:
    return "unknown" if value is None else signed_percent(value)


def _names(changed: list[Match], none: str) -> str:
    return ", ".join(m.name for m in changed) + " differ" if changed else none
