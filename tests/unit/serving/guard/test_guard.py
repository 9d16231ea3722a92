"""One replica's model: found, checked, swapped, watched, taken back; bad ones refused, good ones unharmed."""

import threading

import numpy as np
import pytest
from made.guards import S, answered, damaged, guard_of, kinds, swapped, tier_set
from made.registry_models import REAL, SIMULATED, made_policy, made_record

from kalshi_platform.domain.errors import ContractError, LimitError, StorageError
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import add_tier_set
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.inference.batch import Batch, Note
from kalshi_platform.serving.inference.tiered import free

pytestmark = pytest.mark.usefixtures("one_torch_thread", "cost_ms")


# finding and swapping


def test_the_model_the_alias_names_is_served_after_its_checks(registry, models, loader):
    guard = guard_of(registry, loader)
    assert guard.active.key == (models[0], None)
    assert (guard.active.since_ns, guard.previous) == (1_000 * S, None)
    assert guard.active.verdict.compared_on == "nothing"
    assert kinds(guard) == ["loaded"]


def test_nothing_is_wanted_while_the_alias_names_the_active_model(registry, models, loader):
    guard = guard_of(registry, loader)
    assert guard.poll() is None
    assert guard.refresh() is None
    assert loader.loaded == [models[0]]


def test_a_promoted_model_is_swapped_in_and_requests_in_flight_keep_theirs(registry, models, loader):
    guard = guard_of(registry, loader)
    in_flight = guard.active
    registry.promote(CHAMPION, models[1], reason="better")
    verdict = guard.refresh()
    assert (verdict.accepted, verdict.model) == (True, models[1])
    assert (guard.active.record.id, guard.previous) == (models[1], in_flight)
    flat, _ = probes(in_flight.policy.spec, 3)
    found = in_flight.policy.decide(Batch(flat, None, free(3, 2)), 0)
    np.testing.assert_array_equal(found.actions, made_policy("tiny", 0).act(flat))
    assert kinds(guard) == ["loaded", "swapped"]


def test_the_served_model_carries_the_marks_of_its_alias_and_a_new_judgement_changes_them(
    registry, models, loader
):
    registry.promote(CHAMPION, models[1], reason="of simulated data", evidence="a" * 12, standing="simulated",
                     judged_on=SIMULATED)  # fmt: skip
    guard = guard_of(registry, loader)
    served = guard.active
    assert served.marks.simulated
    registry.promote(CHAMPION, models[1], reason="judged anew", evidence="b" * 12, standing="real",
                     judged_on=REAL)  # fmt: skip
    assert guard.refresh() is None, "it is the same model: nothing is loaded"
    assert not guard.active.marks.simulated
    assert (guard.active.number, loader.loaded) == (served.number, [models[1]])
    started = guard_of(registry, loader)
    assert not started.active.marks.simulated, "the latest promotion counts, also where it stood before that"
    registry.rollback(CHAMPION, reason="odd")
    guard.refresh()
    assert guard.active.record.id == models[0]
    assert not guard.active.marks.passed_gates  # the first one was promoted by hand


def test_a_rollback_in_the_registry_is_a_change_like_any_other(registry, models, loader):
    guard = swapped(registry, models, loader)
    registry.rollback(CHAMPION, reason="by somebody")
    guard.refresh()
    assert guard.active.record.id == models[0]


def test_a_new_tier_set_of_the_same_model_is_a_candidate(registry, models, loader):
    guard = guard_of(registry, loader)
    record = registry.record(models[0])
    made = add_tier_set(registry, tier_set(record, "2026-02-01T00:00:00+00:00"), {})
    assert guard.refresh().tiers == made.digest
    assert guard.active.key == (models[0], made.digest)
    assert guard.refresh() is None


def test_an_alias_that_names_nothing_is_refused_by_name(registry, loader):
    with pytest.raises(ContractError, match="no alias 'challenger'"):
        guard_of(registry, loader, alias="challenger")


def test_nothing_is_served_before_the_start(registry, loader):
    guard = guard_of(registry, loader, start=False)
    with pytest.raises(ContractError, match=r"start\(\)"):
        guard.active  # noqa: B018


def test_a_candidate_compared_with_a_model_that_is_no_longer_active_is_not_swapped_in(
    registry, models, loader
):
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    late = guard.prepare(guard.poll())
    guard.refresh()
    assert not guard.swap(late)
    assert guard.active.record.id == models[1]


def test_before_the_start_nothing_answers(registry, loader):
    assert guard_of(registry, loader, start=False).current() is None


def test_what_the_alias_names_is_served_with_the_settings_it_was_trained_in(registry, models, loader):
    served = guard_of(registry, loader).current()
    assert served.key == (models[0], None)
    assert served.trading.n_slots == served.policy.spec.n_slots == 2
    assert (served.window, served.tier_3_ms) == (0, float("inf"))


def test_tier_3_elsewhere_is_announced_before_a_check_and_a_listener_hears_what_happened(
    registry, models, loader
):
    heard = []
    guard = ModelGuard(
        registry,
        GuardConfig(check=CheckConfig(min_agreement=0.0)),
        load=loader,
        announce=lambda key: heard.append(("announced", key.model)),
        listener=lambda event: heard.append((event.kind, event.model)),
    )
    guard.start()
    registry.promote(CHAMPION, models[1], reason="better")
    assert guard.refresh().accepted
    loader.damage[models[2]] = damaged
    registry.promote(CHAMPION, models[2], reason="a mistake")
    assert not guard.refresh().accepted
    registry.rollback(CHAMPION, reason="a mistake", seen=registry.aliases())
    assert guard.refresh() is None
    assert guard.rollback("by hand").key.model == models[0]
    assert registry.aliases().model(CHAMPION) == models[0]
    assert heard == [
        ("announced", models[0]),
        ("loaded", models[0]),
        ("announced", models[1]),
        ("swapped", models[1]),
        ("announced", models[2]),
        ("refused", models[2]),
        ("rolled_back", models[1]),
        ("alias_changed", models[1]),
    ]


def test_a_guard_without_a_shadow_compares_nothing(registry, loader):
    guard = guard_of(registry, loader)
    guard.follow_shadow()
    answered(guard, 1)
    assert guard.shadow() is None
    guard.close()


# refusing


def not_finite(engine):
    whole = engine.logits
    engine.logits = lambda flat, codes: whole(flat, codes) * np.float32(np.nan)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(damaged, r"tier 3 \(torch\) failed: .*planted"), (not_finite, "not finite")],
)
def test_a_candidate_whose_numbers_are_wrong_is_refused_once_and_the_active_one_answers_on(
    registry, models, loader, damage, words
):
    guard = guard_of(registry, loader)
    before = guard.active
    loader.damage[models[1]] = damage
    registry.promote(CHAMPION, models[1], reason="better")
    verdict = guard.refresh()
    assert not verdict.accepted
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(verdict.reason)
    assert guard.active is before
    assert guard.refresh() == verdict  # the same words again, and not tried again
    assert loader.loaded == models[:2]
    registry.promote(CHAMPION, models[0], reason="back")
    registry.promote(CHAMPION, models[1], reason="again")
    del loader.damage[models[1]]
    assert guard.refresh().accepted
    assert kinds(guard) == ["loaded", "refused", "swapped"]


def test_a_candidate_slower_than_its_levels_budget_is_refused_with_figure_and_bound(
    registry, models, loader, cost_ms
):
    guard = guard_of(registry, loader)
    cost_ms["p99"] = 2.25
    registry.promote(CHAMPION, models[1], reason="better")
    assert "p99 of 100 decisions is 2.25 ms, its level's budget 2 ms" in guard.refresh().reason
    assert kinds(guard)[-1] == "refused"


def test_weights_that_were_changed_are_refused(registry, models, loader, tmp_path):
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    path = tmp_path / "registry" / "models" / models[1] / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "sha256" in guard.refresh().reason


def test_a_model_that_reads_other_columns_is_refused_because_no_client_sends_them(registry, models, loader):
    guard = guard_of(registry, loader)
    other = registry.add(*made_record(made_policy("simple"))).id
    registry.promote(CHAMPION, other, reason="larger")
    assert "reads 16 rows of history, clients of the active model send 0" in guard.refresh().reason


def test_whatever_a_loader_raises_is_a_reason_and_harms_nothing(registry, models, loader):
    guard = guard_of(registry, loader)

    def explode(engine):
        raise ZeroDivisionError("planted")

    loader.damage[models[1]] = explode
    registry.promote(CHAMPION, models[1], reason="better")
    assert guard.refresh().reason == "preparing it failed: ZeroDivisionError: planted"


def test_a_refused_first_model_is_an_error_and_may_be_tried_again(registry, models, loader):
    loader.damage[models[0]] = damaged
    guard = guard_of(registry, loader, start=False)
    with pytest.raises(LimitError, match=rf"{models[0]}, which cannot be served: .*planted"):
        guard.start()
    loader.damage.clear()
    assert guard.start().record.id == models[0]


def test_a_registry_that_does_not_answer_is_an_event_and_no_verdict_on_anybody(
    registry, models, loader, monkeypatch
):
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    with monkeypatch.context() as broken:

        def fail(self, record, name):
            raise StorageError("bucket away")

        broken.setattr(Registry, "artefact", fail)
        for _ in range(2):
            with pytest.raises(StorageError, match="bucket away"):
                guard.refresh()
    assert kinds(guard) == ["loaded", "unreachable"]
    assert guard.refresh().accepted


def test_numbers_are_checked_on_recorded_states_too(registry, models, loader):
    guard = guard_of(registry, loader)
    recorded(guard, n=1)

    def fails_there(engine):
        whole = engine.logits

        def logits(flat, codes):
            if 0.125 in flat[:, 0]:
                raise RuntimeError("planted")
            return whole(flat, codes)

        engine.logits = logits

    loader.damage[models[1]] = fails_there
    registry.promote(CHAMPION, models[1], reason="better")
    verdict = guard.refresh()
    assert (verdict.probes, verdict.recorded) == (256, 1)
    assert "planted" in verdict.reason
    assert "(on 1 groups)" in verdict.reason


# agreement


def recorded(guard, n=40, note=0, turned=0):
    """Record ``n`` groups as the active model decides them; the first ``turned`` with another action."""
    served = guard.active
    flat, _ = probes(served.policy.spec, n)
    flat[:, 0] = 0.125  # other states than the probes of a check
    batch = Batch(flat, None, free(n, 2))
    found = served.policy.decide(batch, 0)
    found.actions[:turned] = (found.actions[:turned] + 1) % 5
    found.notes[:] = note
    for k in range(n):
        guard.states.add(served.number, batch.take(np.array([k])), found.take(np.array([k])))


def test_agreement_is_counted_on_what_the_active_model_really_answered(registry, models, loader):
    guard = guard_of(registry, loader, check=CheckConfig(min_agreement=0.9))
    recorded(guard, n=40, turned=4)
    made = add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    verdict = guard.refresh()  # the same network: differs in the 4 groups of 40 that were turned
    assert (verdict.tiers, verdict.compared_on, verdict.agreement) == (made.digest, "recorded", 0.9)
    assert (verdict.compared_groups, verdict.compared_slots, verdict.recorded) == (40, 80, 40)
    assert verdict.accepted


def test_too_little_agreement_is_refused_with_figure_bound_and_number_of_states(registry, models, loader):
    guard = guard_of(registry, loader, check=CheckConfig(min_agreement=0.9))
    recorded(guard, n=40, turned=5)
    add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    words = "in 87.5% of 80 slots of 40 groups (recorded), at least 90.0% are asked for"
    assert words in guard.refresh().reason


@pytest.mark.parametrize(("n", "note"), [(31, 0), (40, Note.DEADLINE), (40, Note.FALLBACK)])
def test_without_enough_recorded_states_the_probes_are_compared_and_the_verdict_says_so(
    registry, models, loader, n, note
):
    guard = guard_of(registry, loader, check=CheckConfig(min_probe_agreement=1.0))
    recorded(guard, n=n, note=note, turned=n)
    add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    verdict = guard.refresh()
    assert (verdict.compared_on, verdict.agreement, verdict.accepted) == ("probes", 1.0, True)
    assert "(probes)" in verdict.words


def test_what_another_model_answered_is_not_held_against_a_candidate(registry, models, loader):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)  # it holds no model to go back to, and checks what it is told to
    recorded(guard)  # by the second model
    registry.rollback(CHAMPION, reason="by somebody")
    back = guard.refresh()  # it may decide as it likes: the active model is the bad one
    assert back.accepted
    assert back.compared_on == "recorded"
    assert back.agreement < 0.5
    add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    assert guard.refresh().compared_on == "probes"


def test_events_are_bounded(registry, models, loader):
    guard = guard_of(registry, loader, max_events=2)
    for model in (models[1], models[2], models[0]):
        registry.promote(CHAMPION, model, reason="next")
        guard.refresh()
    assert kinds(guard) == ["swapped", "swapped"]


def test_a_refused_candidate_cannot_be_swapped_in(registry, models, loader):
    guard = guard_of(registry, loader)
    loader.damage[models[1]] = damaged
    registry.promote(CHAMPION, models[1], reason="better")
    with pytest.raises(ContractError, match="was refused"):
        guard.swap(guard.prepare(guard.poll()))


def test_answers_and_refreshes_from_many_threads_leave_one_consistent_state(registry, models, loader):
    guard, done = guard_of(registry, loader), threading.Event()
    seen = set()

    def answer():
        while not done.wait(0.001):
            served = guard.active
            seen.add((served.number, served.record.id))
            answered(guard, 1, served=served)

    threads = [threading.Thread(target=answer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for model in (*models[1:], *models[:2]):
        registry.promote(CHAMPION, model, reason="next")
        assert guard.refresh().accepted
    done.set()
    for thread in threads:
        thread.join()
    assert guard.active.record.id == models[1]
    assert len({number for number, _ in seen}) == len(seen)  # a number never names two models
    assert guard.previous.record.id == models[0]
