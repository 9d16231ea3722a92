"""What is registered is the run that was judged, with what its reports found."""

from types import SimpleNamespace

import pytest
from made.registry_models import OVERTRADING, flawed, made_policy, made_record
from made.runs import make_sweep, trial

from kalshi_platform.domain.errors import DataError
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.learning.tuning import registering
from kalshi_platform.learning.tuning.registered import read_registered
from kalshi_platform.learning.tuning.registering import register_judged
from kalshi_platform.models.registry.flaws import Flaw
from kalshi_platform.models.registry.store import CHALLENGER, Registry

IDLE = Finding(
    severity="error", rule="policy_collapse", message="the policy never trades", evidence={"fills": 0},
    remedy="train for more steps",
)  # fmt: skip
WARNING = IDLE.replace(severity="warning", rule="late_profit")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A sweep whose winner is the finalist of seed 5, its reports by split, and what was registered."""
    final = trial("t0-s5", None, "finalist", seed=5)
    record = make_sweep(tmp_path, [trial("t0"), final], "t0", winner_run="finalists/t0-s5")
    record = record.replace(winner_run="finalists/t0-s5")
    found = SimpleNamespace(
        record=record, out=tmp_path, registry=Registry(tmp_path / "registry"), asked=[], said=[],
        reports={"test": [IDLE, WARNING], "validation": []}, judged="finalists/t0-s5", seed=0,
    )  # fmt: skip

    def report(path):
        split = "validation" if path.parent.name == "validation" else "test"
        return SimpleNamespace(
            findings=found.reports[split],
            config=SimpleNamespace(split=split),
            subject=SimpleNamespace(checkpoint=str(tmp_path / found.judged)),
        )

    def register(registry, run, dataset, *, flaws, say):
        found.asked.append((run, list(flaws)))
        made, files = made_record(made_policy(seed=found.seed))
        return registry.add(flawed(made, *flaws), files)

    monkeypatch.setattr(registering, "read_report", report)
    monkeypatch.setattr(registering, "register_run", register)
    for folder in (tmp_path / "winner", tmp_path / "winner" / "validation"):
        folder.mkdir()
        (folder / "report.json").touch()
    found.run = tmp_path / "finalists" / "t0-s5"
    found.go = lambda: register_judged(
        record, found.run, tmp_path / "winner", found.registry, "won", found.said.append
    )
    return found


def test_the_judged_seed_is_registered_with_the_errors_of_its_reports(place):
    registered = place.go()
    flaw = Flaw(rule="policy_collapse", message="the policy never trades", split="test", idle=True)
    assert place.asked == [(place.run, [flaw])]
    assert (registered.run, registered.seed, registered.idle) == ("finalists/t0-s5", 5, True)
    assert registered.is_challenger  # nobody better is there, and it is said
    assert "although it does not trade" in registered.words
    assert registered.words in place.said
    assert read_registered(place.out / "winner") == registered


def test_a_winner_that_does_not_trade_leaves_a_better_challenger_where_it_is(place):
    better, files = made_record(made_policy(seed=9))
    place.registry.add(flawed(better), files)
    place.registry.promote(CHALLENGER, better.id, reason="before")
    registered = place.go()
    assert (registered.is_challenger, registered.challenger) == (False, better.id)
    assert place.registry.aliases().model(CHALLENGER) == better.id
    assert place.registry.holds(registered.model)


def test_a_winner_without_errors_becomes_challenger_as_ever(place):
    old, files = made_record(made_policy(seed=9))
    place.registry.add(flawed(old, OVERTRADING), files)
    place.registry.promote(CHALLENGER, old.id, reason="before")
    place.reports["test"] = [WARNING]
    registered = place.go()
    assert (registered.is_challenger, registered.flaws) == (True, ())


def test_a_report_of_another_run_is_refused(place):
    place.judged = "finalists/t0-s4"
    with pytest.raises(DataError, match=r"judges .*t0-s4, but the run to register is .*t0-s5"):
        place.go()
    assert place.asked == []


def test_a_resumed_sweep_does_not_take_the_alias_back_from_a_later_one(place):
    place.reports["test"] = []
    first = place.go()
    later, files = made_record(made_policy(seed=9))
    place.registry.add(flawed(later), files)
    place.registry.promote(CHALLENGER, later.id, reason="a later sweep")
    assert place.go() == first
    assert place.registry.aliases().model(CHALLENGER) == later.id
    assert len(place.asked) == 1
    assert place.said[-1] == (
        f"{first.model} was registered before, in {place.registry.uri}; aliases stay as they are"
    )


def test_an_error_found_since_the_model_was_registered_counts_and_is_said(place):
    """A sweep with --no-final registers by the validation events; its resume opens the test events."""
    better, files = made_record(made_policy(seed=9))
    place.registry.add(flawed(better), files)
    place.registry.promote(CHALLENGER, better.id, reason="before")
    place.reports["test"] = []
    place.go()
    place.registry.promote(CHALLENGER, better.id, reason="back")
    place.reports["test"] = [IDLE]
    registered = place.go()
    assert (registered.is_challenger, registered.idle) == (False, True)
    assert place.registry.aliases().model(CHALLENGER) == better.id
    assert any("Its record does not say so" in line for line in place.said)


def test_a_damaged_note_of_what_was_registered_is_written_again(place):
    first = place.go()
    (place.out / "winner" / "registered.json").write_text("{}")
    again = place.go()
    assert again.model == first.model
    assert read_registered(place.out / "winner") == again
