"""Pass or fail of a tier set: does it keep the share of the model's return that was asked for?

Owns       the verdict, from the judging half alone; the calibrating half chose the exits.
Units      returns are fractions of an episode's capital, means over blocks; shares are fractions.
PASS       the estimate keeps the share asked for; FAIL: it does not. Either is *settled* where the whole 95 %
           interval lies on that side, else the verdict says that the blocks do not settle it.
NO VERDICT the model's own return is not surely above zero, or there are too few blocks: no share of it means
           anything, and the difference and the agreement are what to read.
"""

from typing import Final, Literal, NamedTuple

from kalshi_platform.evaluation.pages.formats import interval_text, percent, share
from kalshi_platform.evaluation.statistics.blocks import decides_nothing
from kalshi_platform.serving.distillation.judge import Judgement

#: Below this share of its mean the low bound of the model's return is near zero: the ratio swings with it,
#: and the difference is set against the loss that was allowed instead.
NEAR_ZERO: Final = 0.2

Word = Literal["PASS", "FAIL", "NO VERDICT"]


class ReturnVerdict(NamedTuple):
    """The verdict on the return kept, and whether the judging blocks settle it."""

    word: Word
    settled: bool
    words: str
    has_share: bool = False  # the share of the return kept means something and is what was judged

    @property
    def surely_fails(self) -> bool:
        """True where the whole interval lies below the share asked for."""
        return self.word == "FAIL" and self.settled


def kept_verdict(j: Judgement, asked: float) -> ReturnVerdict:
    """Verdict on the judging half: tiers should keep ``asked`` (such as 0.98) of the model's mean return."""
    blocks = f"{j.n_blocks or j.n_events} judging blocks"
    own, difference = j.champion_return, j.difference
    unjudged = f"{share(asked)} of it was asked for; tiers - model: {interval_text(difference)}"
    if own.estimate is None or difference.estimate is None:
        return ReturnVerdict("NO VERDICT", False, "NO VERDICT: no judging block to compare returns on")
    if few := decides_nothing(difference.n_clusters):
        return ReturnVerdict("NO VERDICT", False, f"NO VERDICT: {few}; {unjudged}")
    if own.low is None or own.low <= 0 or j.value_kept is None or j.value_kept.estimate is None:
        why = f"the model's own return on the {blocks} is not surely above zero ({interval_text(own)})"
        words = f"NO VERDICT: {why}, so no share of it can be said to be kept; {unjudged} of capital a block"
        return ReturnVerdict("NO VERDICT", False, words)
    if own.low < NEAR_ZERO * own.estimate or j.value_kept.low is None or j.value_kept.high is None:
        allowed = (1 - asked) * own.estimate
        told = (
            f"{share(asked)} of the model's return was asked for, so {percent(allowed)} of capital a block "
            f"may be lost; tiers - model: {interval_text(difference)} (the model's own return, "
            f"{interval_text(own)}, may be near zero: a share of it would mean little)"
        )
        return _verdict(difference.estimate, difference.low, difference.high, -allowed, told, blocks)
    kept = j.value_kept
    told = f"{interval_text(kept)} of the model's return kept, {share(asked)} asked for"
    assert kept.estimate is not None  # seen above
    return _verdict(kept.estimate, kept.low, kept.high, asked, told, blocks)._replace(has_share=True)


def _verdict(
    estimate: float | None, low: float | None, high: float | None, bound: float, told: str, blocks: str
) -> ReturnVerdict:
    assert estimate is not None
    word: Word = "PASS" if estimate >= bound else "FAIL"
    assert low is not None  # an interval without bounds is no verdict
    assert high is not None
    settled = low >= bound if word == "PASS" else high < bound
    end = f"the {blocks} settle it" if settled else f"the interval allows both, {blocks} do not settle it"
    return ReturnVerdict(word, settled, f"{word}: {told}; {end}")
