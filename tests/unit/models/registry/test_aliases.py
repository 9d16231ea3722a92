"""The log of aliases: it only grows, rollbacks go back a promotion each, one racer wins."""

import multiprocessing

import pytest

from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.models.registry.aliases import AliasLog
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.verdicts import KeptVerdict
from kalshi_platform.storage.storage import Storage


def test_an_alias_and_an_id_name_the_same_model(registry, three):
    entry = registry.promote("champion", three[0], reason="best so far", evidence="e" * 12)
    assert registry.resolve("champion") == registry.resolve(three[0]) == three[0]
    assert (entry.number, entry.previous, entry.reason, entry.evidence) == (1, None, "best so far", "e" * 12)
    assert registry.promote("champion", three[1], reason="better").previous == three[0]
    assert registry.aliases().current == {"champion": three[1]}


def test_promoting_the_present_model_adds_nothing(registry, three):
    first = registry.promote("champion", three[0], reason="one")
    assert registry.promote("champion", three[0], reason="again") == first
    assert registry.aliases().number == 1


def test_rollbacks_go_back_one_promotion_each_and_history_is_kept(registry, three):
    a, b, c = three
    for model in (a, b, c):
        registry.promote("champion", model, reason="p")
    registry.promote("challenger", a, reason="other aliases do not matter")
    assert registry.rollback("champion", reason="r").model == b
    assert registry.rollback("champion", reason="r").model == a
    with pytest.raises(LimitError, match=f"names {a} and named nothing before"):
        registry.rollback("champion", reason="r")
    registry.promote("champion", c, reason="p")
    assert registry.rollback("champion", reason="r").model == a  # what stood before c this time
    log = registry.aliases()
    assert [e.kind for e in log.entries if e.alias == "champion"] == ["promote"] * 3 + ["rollback"] * 2 + [
        "promote",
        "rollback",
    ]
    assert [e.number for e in log.entries] == list(range(1, 9))
    with pytest.raises(LimitError, match="'canary' has never been set"):
        registry.rollback("canary", reason="r")


def test_the_second_of_two_promoters_is_told_who_won(registry, three):
    seen = registry.aliases()
    registry.promote("challenger", three[2], reason="another alias in between is no conflict")
    registry.promote("champion", three[0], reason="first", seen=seen)
    with pytest.raises(
        LimitError, match=f"champion was not changed to {three[1]}: .*@.* made it {three[0]} at"
    ):
        registry.promote("champion", three[1], reason="second", seen=seen)
    with pytest.raises(LimitError, match="after this decision began"):
        registry.rollback("champion", reason="r", seen=seen_with(registry, three))
    assert registry.resolve("champion") == three[1]


def seen_with(registry: Registry, three: list[str]):
    """A log of two promotions of champion, after which somebody else promotes once more."""
    registry.promote("champion", three[1], reason="p")
    seen = registry.aliases()
    registry.promote("champion", three[2], reason="p")
    registry.promote("champion", three[1], reason="p")
    return seen


def race(uri: str, model: str, start, answers) -> None:
    registry = Registry(uri)
    seen = registry.aliases()
    start.wait()
    try:
        answers.put((registry.promote("champion", model, reason="race", seen=seen).model, None))
    except LimitError as err:
        answers.put((None, str(err)))


def test_of_racing_processes_exactly_one_promotes(registry, three):
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    start, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=race, args=(registry.uri, m, start, answers)) for m in three[:2]]
    for process in processes:
        process.start()
    got = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    winners = [model for model, _ in got if model]
    assert len(winners) == 1
    assert registry.resolve("champion") == winners[0]
    assert registry.aliases().number == 1
    assert all(f"made it {winners[0]}" in refusal for _, refusal in got if refusal)


def test_an_answer_lost_on_the_way_is_recognised_as_our_own_entry(registry, three, monkeypatch):
    create = Storage.create_exclusive
    monkeypatch.setattr(
        Storage, "create_exclusive", lambda self, path, data: create(self, path, data) and False
    )
    entry = registry.promote("champion", three[0], reason="the store wrote it, the answer was lost")
    assert registry.aliases().entries == (entry,)


@pytest.mark.parametrize("alias", ["", "Champion", "a/b", "../x", "tiny-000000000001", "1st", "a" * 33])
def test_names_that_cannot_be_aliases_are_refused(registry, three, alias):
    with pytest.raises(ContractError, match="is refused"):
        registry.promote(alias, three[0], reason="p")


def test_a_model_that_is_not_there_cannot_be_promoted(registry, three):
    with pytest.raises(ContractError, match="has no model 'tiny-000000000001'"):
        registry.promote("champion", "tiny-000000000001", reason="p")
    with pytest.raises(ContractError, match=f"no model or alias 'winner'; it holds .*{three[0]}"):
        registry.resolve("winner")


def test_a_gap_or_a_damaged_entry_in_the_log_is_named(registry, three, tmp_path):
    for model in three:
        registry.promote("champion", model, reason="p")
    folder = tmp_path / "registry" / "aliases"
    kept = (folder / "000002.json").read_text()
    (folder / "000002.json").write_text(kept[:30])
    with pytest.raises(DataError, match=r"000002\.json is damaged"):
        registry.aliases()
    (folder / "000002.json").unlink()
    with pytest.raises(DataError, match=r"entry 2 is missing before aliases/000003\.json"):
        registry.aliases()


def test_a_rollback_may_go_further_back_at_once_and_takes_off_what_stood_between(registry, three):
    a, b, c = three
    for model in (a, b, c):
        registry.promote("champion", model, reason="p")
    assert registry.rollback("champion", reason="r", to=a).model == a
    assert registry.aliases().stack("champion") == (a,)
    with pytest.raises(LimitError, match="nothing before"):
        registry.rollback("champion", reason="r")
    registry.promote("champion", b, reason="p")
    with pytest.raises(LimitError, match=f"never named {c} before its present model"):
        registry.rollback("champion", reason="r", to=c)
    with pytest.raises(LimitError, match=f"never named {b} before its present model"):
        registry.rollback("champion", reason="r", to=b)
    assert [e.number for e in registry.aliases().promotions("champion")] == [1, 5]


def test_a_model_judged_anew_stands_once_and_its_latest_promotion_counts_also_after_a_rollback(
    registry, three
):
    a, b, _ = three
    registry.promote("champion", a, reason="p", standing="simulated")
    registry.promote("champion", a, reason="judged anew", standing="real")
    registry.promote("champion", b, reason="p")
    assert registry.aliases().stack("champion") == (a, b)
    assert registry.rollback("champion", reason="r").model == a
    log = registry.aliases()
    assert (log.stack("champion"), log.promotion("champion").number) == ((a,), 2)
    assert (log.latest("champion").number, log.promotion("nobody")) == (4, None)
    with pytest.raises(LimitError, match="nothing before"):
        registry.rollback("champion", reason="r")


def test_a_log_that_shrank_or_changed_since_it_was_read_is_told(registry, three):
    registry.promote("champion", three[0], reason="p")
    before = registry.aliases()
    registry.promote("champion", three[1], reason="p")
    after = registry.aliases()
    after.require_grown_from(before, "here")
    with pytest.raises(DataError, match="here: the log ends at entry 1, it had 2 before"):
        before.require_grown_from(after, "here")
    changed = AliasLog((before.entries[0].replace(model=three[2]), *after.entries[1:]))
    with pytest.raises(DataError, match=r"aliases/000001.json is not the entry that was read before"):
        changed.require_grown_from(before, "here")


def refusal(entry, **changes):
    values = {
        "alias": entry.alias, "entry": entry.number, "model": entry.model, "tier_set": None,
        "fault": "model", "reason": "it acts illegally", "host": "here", "at": entry.at, "by": "me@here",
    }  # fmt: skip
    return KeptVerdict(**values | changes)


def test_a_rollback_passes_over_models_that_were_refused_and_never_served(registry, three):
    a, b, c = three
    first, second, _ = [registry.promote("champion", model, reason="p") for model in (a, b, c)]
    registry.add_verdict(refusal(second))
    assert registry.before("champion", registry.aliases()) == a
    registry.add_verdict(refusal(second, tier_set="0" * 12, fault="", reason="fine with its tiers"))
    assert registry.before("champion", registry.aliases()) == b  # some replica served it
    assert registry.rollback("champion", reason="r").model == b
    registry.add_verdict(refusal(first))
    with pytest.raises(
        LimitError, match=f"named nothing else before that answered.*{a} was refused: it acts"
    ):
        registry.rollback("champion", reason="r")


def test_a_refusal_of_one_machine_is_no_reason_to_pass_a_model_over(registry, three):
    first, _ = [registry.promote("champion", model, reason="p") for model in three[:2]]
    registry.add_verdict(refusal(first, fault="machine", reason="no memory"))
    assert registry.rollback("champion", reason="r").model == three[0]
