"""One replica's model: found, checked, swapped, watched, taken back; bad ones refused, good ones unharmed."""

import shutil
import threading

import numpy as np
import pytest
from made.registry_models import made_policy, made_record
from made.serving_tiers import PlainEngine

from kalshi_platform.domain.errors import ContractError, LimitError, StorageError
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierRecord, TierSet, add_tier_set
from kalshi_platform.serving.guard import candidate as checks
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.guard.watch import WatchConfig
from kalshi_platform.serving.inference.batch import Batch, Note, holding
from kalshi_platform.serving.inference.ready import ReadyModel
from kalshi_platform.serving.inference.tiered import ReadyTier, free

pytestmark = pytest.mark.usefixtures("one_torch_thread")
MS, S = 1_000_000, 1_000_000_000


class Clock:
    now_ns = 1_000 * S

    def __call__(self) -> int:
        return self.now_ns


class Loader:
    """Runs the registered network as the only tier; ``damage`` does something to the engine of a model."""

    def __init__(self) -> None:
        self.damage, self.loaded = {}, []

    def __call__(self, registry, loaded, tier_set):
        self.loaded.append(loaded.record.id)
        engine = PlainEngine(loaded.policy.network)
        self.damage.get(loaded.record.id, lambda engine: None)(engine)
        return ReadyModel(loaded, (ReadyTier(3, engine, 1.0, None),), (), tier_set)


@pytest.fixture(autouse=True)
def cost_ms(monkeypatch):
    """What a decision takes: {"p99": ms}; nothing is timed."""
    cost = {"p99": 1.0}

    def timed(call, runs, min_runs):
        assert runs == min_runs == 100
        call(0)
        return CallTimes(0.5, cost["p99"], 9.0, runs)

    monkeypatch.setattr(checks, "time_calls", timed)
    return cost


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with three models, the first of them champion, and their ids."""
    folder = tmp_path_factory.mktemp("made")
    registry = Registry(folder)
    ids = [registry.add(*made_record(made_policy("tiny", seed))).id for seed in range(3)]
    registry.promote(CHAMPION, ids[0], reason="first")
    return folder, ids


@pytest.fixture
def registry(tmp_path, made):
    shutil.copytree(made[0], tmp_path / "registry")
    return Registry(tmp_path / "registry")


@pytest.fixture
def models(made):
    """Ids of the three models of ``registry``."""
    return made[1]


@pytest.fixture
def loader():
    return Loader()


def guard_of(registry, loader, clock=None, start=True, **config):
    guard = ModelGuard(registry, GuardConfig(**config), load=loader, clock=clock or Clock())
    if start:
        guard.start()
    return guard


def kinds(guard):
    return [event.kind for event in guard.events]


def tier_set(record, created_at):
    return TierSet(
        model=record.id,
        dataset_digest=record.dataset_digest,
        tiers=(
            TierRecord(number=3, spec=record.spec, weights=WEIGHTS_NAME, temperature=1, exit_threshold=None),
        ),
        artefacts={},
        max_value_loss=0.02,
        machine="made",
        created_at=created_at,
    )


def answered(guard, n, latency_ms=1.0, failed=False, served=None):
    """``n`` requests answered by the active model, or by ``served``."""
    served = served or guard.active
    nothing = Batch(np.empty((0, served.policy.spec.width), np.float32), None, free(0, 2))
    for _ in range(n):
        if failed:
            guard.failed(served, round(latency_ms * MS))
        else:
            guard.answered(served, nothing, holding(0, 2), round(latency_ms * MS))


def swapped(registry, models, loader, clock=None, **config):
    """A guard that swapped the second model in, the first having answered 300 requests in 1 ms each."""
    guard = guard_of(registry, loader, clock, **config)
    answered(guard, 300)
    registry.promote(CHAMPION, models[1], reason="better")
    assert guard.refresh().accepted
    return guard


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
    assert (served.window, served.full_ms) == (0, float("inf"))


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


def damaged(engine):
    engine.broken = True


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
    assert guard.refresh() is None  # not tried again
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
        assert guard.refresh() is None
        assert guard.refresh() is None
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
    guard = swapped(registry, models, loader)
    recorded(guard)  # by the second model
    registry.rollback(CHAMPION, reason="by somebody")
    back = guard.refresh()  # it may decide as it likes: the active model is the bad one
    assert back.accepted
    assert back.compared_on == "recorded"
    assert back.agreement < 0.5
    add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    assert guard.refresh().compared_on == "probes"


# watching


def test_a_model_that_fails_after_the_swap_is_taken_back_here_and_in_the_registry(registry, models, loader):
    guard = swapped(registry, models, loader)
    bad = guard.active
    answered(guard, 60)
    answered(guard, 4, failed=True)  # 4 errors are not judged
    assert guard.active is bad
    answered(guard, 1, failed=True)  # 5 of 65 = 7.7 %
    assert guard.active.record.id == models[0]
    assert guard.previous is None
    assert registry.aliases().model(CHAMPION) == models[1]  # the answering path reads and writes nothing
    assert guard.refresh() is None
    entry = registry.aliases().entries[-1]
    assert (entry.kind, entry.model) == ("rollback", models[0])
    assert entry.reason == "automatic: 5 of 65 requests failed (7.7%), allowed 5.0%; 0.0% before"
    assert kinds(guard) == ["loaded", "swapped", "taken_back", "alias_changed"]
    answered(guard, 10, failed=True, served=bad)  # late answers of the model that is gone change nothing
    assert guard.refresh() is None


def test_a_model_whose_tiers_fail_is_taken_back_though_every_request_was_answered(registry, models, loader):
    guard = swapped(registry, models, loader)
    policy = guard.active.policy
    policy.tiers[0].engine.broken = True
    flat, _ = probes(policy.spec, 1)
    for k in range(5):
        assert guard.active.record.id == models[1]
        policy.decide(Batch(flat, None, free(1, 2)), k)
        answered(guard, 1)
    assert guard.active.record.id == models[0]
    assert guard.active.watch.figures(1_000 * S).errors == 0


def test_a_model_that_is_slow_after_the_swap_is_taken_back(registry, models, loader):
    guard = swapped(registry, models, loader)
    answered(guard, 199, latency_ms=80)
    assert guard.active.record.id == models[1]
    answered(guard, 32, latency_ms=80)
    assert guard.active.record.id == models[0]
    assert "80.0 ms, allowed 75 ms; 1.0 ms before" in guard.events[-1].words


def test_a_model_that_does_well_stands_after_its_watch(registry, models, loader):
    clock = Clock()
    guard = swapped(registry, models, loader, clock, watch=WatchConfig(watch_s=10))
    clock.now_ns += 10 * S + 1
    answered(guard, 32)
    assert kinds(guard)[-1] == "stands"
    answered(guard, 300, failed=True)  # no longer watched: the model before is not fresher
    assert guard.active.record.id == models[1]


def test_the_registry_is_rolled_back_later_where_it_does_not_answer_now(
    registry, models, loader, monkeypatch
):
    guard = swapped(registry, models, loader)
    answered(guard, 5, failed=True)
    with monkeypatch.context() as broken:

        def fail(self, alias, *, reason, seen):
            raise StorageError("bucket away")

        broken.setattr(Registry, "rollback", fail)
        guard.refresh()
    assert guard.active.record.id == models[0]  # and the alias still names the other one: not tried again
    guard.refresh()
    assert registry.aliases().model(CHAMPION) == models[0]
    assert kinds(guard)[2:] == ["taken_back", "unreachable", "alias_changed"]


def test_an_alias_that_somebody_changed_meanwhile_is_left_alone(registry, models, loader):
    guard = swapped(registry, models, loader)
    answered(guard, 5, failed=True)
    registry.promote(CHAMPION, models[2], reason="by somebody")
    verdict = guard.refresh()
    assert (verdict.model, guard.active.record.id) == (models[2], models[2])
    assert [e.model for e in registry.aliases().entries] == models
    assert kinds(guard)[2:] == ["taken_back", "alias_left", "swapped"]


def test_a_new_tier_set_that_fails_is_taken_back_here_and_the_alias_stays(registry, models, loader):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    made = add_tier_set(registry, tier_set(registry.record(models[1]), "2026-02-01T00:00:00+00:00"), {})
    guard.refresh()
    away_and_back(registry, models[2])  # between two looks: the alias names the same model by another entry
    assert guard.refresh() is None
    answered(guard, 5, failed=True)
    assert guard.active.key == (models[1], None)
    assert guard.refresh() is None  # not tried again
    assert registry.aliases().number == 4
    assert guard.events[-1].tiers == made.digest


def away_and_back(registry, model):
    registry.promote(CHAMPION, model, reason="by somebody")
    registry.rollback(CHAMPION, reason="by somebody")


def test_a_model_is_taken_back_by_the_log_as_it_was_last_seen_to_name_it(registry, models, loader):
    guard = swapped(registry, models, loader)
    away_and_back(registry, models[2])
    assert guard.refresh() is None
    answered(guard, 5, failed=True)
    guard.refresh()
    assert registry.aliases().model(CHAMPION) == models[0]
    assert kinds(guard)[2:] == ["taken_back", "alias_changed"]


def test_what_the_alias_was_rolled_back_to_is_never_left_for_the_model_it_was_rolled_back_from(
    registry, models, loader
):
    guard = swapped(registry, models, loader)
    registry.rollback(CHAMPION, reason="by somebody")
    guard.refresh()
    answered(guard, 20, failed=True)
    assert guard.active.record.id == models[0]
    assert kinds(guard)[-1] == "not_taken_back"
    assert kinds(guard).count("not_taken_back") == 1


def test_of_two_replicas_that_take_the_same_model_back_one_writes_one_entry(registry, models, loader):
    guards = [guard_of(registry, loader) for _ in range(2)]
    registry.promote(CHAMPION, models[1], reason="better")
    for guard in guards:
        guard.refresh()
        answered(guard, 5, failed=True)
    start = threading.Barrier(2)

    def refresh(guard):
        start.wait()
        guard.refresh()

    threads = [threading.Thread(target=refresh, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.model for e in registry.aliases().entries] == [models[0], models[1], models[0]]
    assert sorted(kinds(guard)[-1] for guard in guards) == ["alias_changed", "alias_left"]
    assert [guard.active.record.id for guard in guards] == [models[0]] * 2
    assert [guard.refresh() for guard in guards] == [None, None]


def test_a_candidate_that_was_prepared_while_the_active_model_was_taken_back_is_looked_at_anew(
    registry, models, loader
):
    guard = swapped(registry, models, loader)
    registry.promote(CHAMPION, models[2], reason="next")
    loader.damage[models[2]] = lambda engine: answered(guard, 5, failed=True)  # while it is being loaded
    verdict = guard.refresh()
    assert (verdict.model, guard.active.record.id, guard.previous.record.id) == (
        models[2],
        models[2],
        models[0],
    )
    assert kinds(guard)[2:] == ["taken_back", "alias_left", "swapped"]
    assert loader.loaded == [*models, models[2]]


# by hand


def test_a_rollback_by_hand_goes_back_here_and_in_the_registry(registry, models, loader):
    guard = swapped(registry, models, loader)
    assert guard.rollback("it trades too much").record.id == models[0]
    entry = registry.aliases().entries[-1]
    assert (entry.model, entry.reason) == (models[0], "by hand: it trades too much")
    assert guard.refresh() is None
    assert kinds(guard)[2:] == ["rolled_back", "alias_changed"]


def test_a_rollback_by_hand_on_a_replica_that_just_started_loads_what_the_registry_had_before(
    registry, models, loader
):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    assert guard.rollback("worse").record.id == models[0]
    assert guard.previous is None  # what was rolled back from is nothing to go back to
    with pytest.raises(LimitError, match="nothing to roll back to"):
        guard.rollback("once more")
    assert guard.active.record.id == models[0]


def test_a_rollback_by_hand_to_a_model_that_fails_its_checks_says_why(registry, models, loader):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    loader.damage[models[0]] = damaged
    with pytest.raises(LimitError, match=rf"{models[0]} again, .*planted"):
        guard.rollback("worse")
    assert guard.active.record.id == models[1]


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
