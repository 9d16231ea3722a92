"""A challenger beside the champion: counted exactly, never waited for, switched off when it keeps failing."""

import threading

import numpy as np
import pytest
from made.serving_tiers import made_batch, made_policy

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.guard.shadow import Shadow, ShadowConfig
from kalshi_platform.serving.inference.batch import Note, Tier
from kalshi_platform.simulation.replay.account import BUY_NO, BUY_YES, HOLD

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def champion():
    return made_policy()[0]


class Challenger:
    """The champion, its decisions changed by ``answer``; waits while ``gate`` is shut."""

    def __init__(self, champion, answer=lambda found: None) -> None:
        self.spec, self.window, self._champion, self.answer = (
            champion.spec,
            champion.window,
            champion,
            answer,
        )
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()

    def decide(self, batch, now_ns):
        self.asked.set()
        assert self.gate.wait(30)
        found = self._champion.decide(batch, now_ns)
        self.answer(found)
        return found


def shadow_of(champion, challenger, **config):
    made = Shadow("challenger-1", challenger, champion.spec, champion.window, ShadowConfig(**config))
    made.start()
    return made


def decided(champion, n, actions=None):
    """A batch of ``n`` groups and the champion's decisions about it."""
    batch = made_batch(champion, n)
    found = champion.decide(batch, 0)
    if actions is not None:
        found.actions[:] = actions
    return batch, found


def test_slots_decided_otherwise_are_counted_by_tier_and_pair_of_actions(champion):
    def answer(found):
        found.actions[:] = HOLD
        found.actions[0, :3] = BUY_NO

    batch, found = decided(champion, 4, HOLD)
    found.actions[0, 0] = BUY_YES  # BUY_YES against BUY_NO once, HOLD against BUY_NO twice
    found.actions[1, 0] = BUY_YES  # BUY_YES against HOLD once
    found.tier[:] = [Tier.MLP, Tier.FULL, Tier.FULL, Tier.FULL]
    challenger = Challenger(champion, answer)
    shadow = shadow_of(champion, challenger)
    assert shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.groups, report.slots, report.differing) == (4, 20, 4)
    assert report.by_tier == {"mlp": (5, 3), "full": (15, 1)}
    assert report.pairs == {
        ("BUY_YES", "BUY_NO"): 1,
        ("HOLD", "BUY_NO"): 2,
        ("BUY_YES", "HOLD"): 1,
    }
    assert report.disagreement == 0.2
    assert (report.offered, report.dropped, report.failures, report.switched_off) == (1, 0, 0, "")


def test_a_challenger_that_is_the_champion_differs_nowhere(champion):
    shadow = shadow_of(champion, Challenger(champion))
    shadow.offer(*decided(champion, 8), 0)
    shadow.stop(finish=True)
    assert (shadow.report().slots, shadow.report().differing, shadow.report().pairs) == (40, 0, {})


def test_empty_and_forced_slots_say_nothing_about_a_challenger(champion):
    batch, found = decided(champion, 2, HOLD)
    champion.layout.slot_mask(batch.flat)[0] = 0  # no market in group 0
    batch.forced[1, :4] = BUY_YES
    shadow = shadow_of(champion, Challenger(champion, lambda found: found.actions.fill(BUY_YES)))
    shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    assert (shadow.report().slots, shadow.report().differing) == (1, 1)


def test_a_full_queue_drops_and_counts_and_whoever_offers_waits_for_nothing(champion):
    challenger = Challenger(champion)
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger, max_waiting=2)
    told = decided(champion, 1)
    assert shadow.offer(*told, 0)
    assert challenger.asked.wait(30)  # the first is in hand, two may wait
    assert [shadow.offer(*told, 0) for _ in range(4)] == [True, True, False, False]
    challenger.gate.set()
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.offered, report.dropped, report.groups) == (5, 2, 3)


def test_the_champions_answer_is_not_touched_and_its_arrays_may_be_reused_at_once(champion):
    challenger = Challenger(champion, lambda found: found.actions.fill(BUY_NO))
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger)
    batch, found = decided(champion, 3, HOLD)
    before = [column.copy() for column in found]
    shadow.offer(batch, found, 0)
    for column, kept in zip(found, before, strict=True):
        np.testing.assert_array_equal(column, kept)
    batch.flat.fill(np.nan)
    found.actions.fill(BUY_NO)
    challenger.gate.set()
    shadow.stop(finish=True)
    assert shadow.report().pairs == {("HOLD", "BUY_NO"): 15}


def test_a_challenger_that_keeps_failing_is_switched_off_with_the_reason(champion):
    def fail(found):
        raise RuntimeError("planted")

    challenger = Challenger(champion, fail)
    shadow = shadow_of(champion, challenger, max_failures=2)
    told = decided(champion, 1)
    shadow.offer(*told, 0)
    shadow.offer(*told, 0)
    shadow._thread.join(30)
    assert not shadow.offer(*told, 0)
    shadow.stop()
    report = shadow.report()
    assert (report.failures, report.groups, report.disagreement) == (2, 0, None)
    assert report.switched_off == "it failed 2 times, last with RuntimeError: planted"


def test_a_challenger_that_answers_in_another_shape_has_failed(champion):
    challenger = Challenger(champion)
    challenger.decide = lambda batch, now_ns: decided(champion, 1)[1]
    shadow = shadow_of(champion, challenger)
    shadow.offer(*decided(champion, 3), 0)
    shadow.stop(finish=True)
    assert (shadow.report().failures, shadow.report().groups) == (1, 0)


def test_stopping_ends_after_the_call_in_hand_and_drops_what_waits(champion):
    challenger = Challenger(champion)
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger)
    told = decided(champion, 1)
    shadow.offer(*told, 0)
    assert challenger.asked.wait(30)
    shadow.offer(*told, 0)
    stopping = threading.Thread(target=shadow.stop)
    stopping.start()
    while not shadow._stopping:
        threading.Event().wait(0.001)
    challenger.gate.set()
    stopping.join(30)
    assert not shadow._thread.is_alive()
    assert (shadow.report().groups, shadow.report().dropped) == (1, 1)
    assert not shadow.offer(*told, 0)


def test_a_shadow_is_started_once_and_drops_what_comes_before(champion):
    shadow = Shadow("challenger-1", Challenger(champion), champion.spec, champion.window)
    assert not shadow.offer(*decided(champion, 1), 0)
    shadow.start()
    with pytest.raises(ContractError, match="was started before"):
        shadow.start()
    shadow.stop()


def test_a_challenger_that_reads_other_columns_is_refused(champion):
    with pytest.raises(ContractError, match="cannot be a challenger here: it reads other market"):
        Shadow("x", Challenger(champion), champion.spec.replace(market=("yes_mid",)), champion.window)


def test_what_stands_in_for_a_failed_network_is_a_failure_and_compared_with_nothing(champion):
    def answer(found):
        found.notes[0] = Note.FALLBACK

    shadow = shadow_of(champion, Challenger(champion, answer))
    shadow.offer(*decided(champion, 2), 0)
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.failures, report.groups, report.slots) == (1, 0, 0)


def test_comparisons_are_told_as_they_are_made(champion):
    told = []
    shadow = Shadow(
        "challenger-1", Challenger(champion), champion.spec, champion.window,
        compared=lambda *found: told.append(found),
    )  # fmt: skip
    shadow.start()
    batch, found = decided(champion, 2)
    batch.forced[0, 0] = HOLD
    shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    ((ours, its, slots),) = told
    assert ours.tobytes() == found.actions.tobytes()
    np.testing.assert_array_equal(ours[slots], its[slots])
    assert slots.sum() == 9, "of 10 slots one is forced"
