"""The models command: what it lists, how it promotes, and what a refusal looks like."""

import json

import pytest
from made.registry_models import GOOD, made_evidence, made_policy, made_record
from typer.testing import CliRunner

from kalshi_platform.cli import models as command
from kalshi_platform.cli.main import app
from kalshi_platform.domain.program import program
from kalshi_platform.evaluation.promotion.gates import judge
from kalshi_platform.evaluation.promotion.promote import Promotion
from kalshi_platform.models.registry.store import Registry


@pytest.fixture
def place(tmp_path):
    """A registry of two models, the first one champion."""
    store = Registry(tmp_path)
    ids = [store.add(*made_record(made_policy(seed=seed))).id for seed in range(2)]
    store.promote("champion", ids[0], reason="the first there was")
    return store, ids


def models(store, *words):
    return CliRunner().invoke(app, ["models", *words, "--registry", store.uri])


def test_the_list_names_every_model_with_its_aliases(place):
    store, ids = place
    found = json.loads(models(store, "list", "--json").stdout)
    assert {m["id"]: m["aliases"] for m in found} == {ids[0]: ["champion"], ids[1]: []}
    text = models(store, "list").stdout
    assert "2 models" in text
    assert "+5.00%" in text.replace("\n", "")


def test_lists_and_the_record_mark_a_simulated_model(tmp_path):
    store = Registry(tmp_path)
    record, files = made_record(made_policy())
    claims = record.claims.model_dump() | {"judged_on": {"simulated": {"events": 30, "blocks": 30}}}
    model = store.add(record.replace(claims=claims), files).id
    store.promote("challenger", model, reason="tried")
    caution = "simulated: judged on simulated data only (30 events in 30 blocks simulated)"
    for words in (("list",), ("show", "challenger"), ("history",)):
        told = json.loads(models(store, *words, "--json").stdout)
        told = told[0] if isinstance(told, list) else told
        assert told["simulated"] is True
        assert told["cautions"] == [caution, "passed no gate: do not trade by it"]
        assert "simulated" in models(store, *words).stdout
    assert "12 events in 12 blocks recorded" in models(store, "show", model).stdout.replace("\n", "")


def test_a_model_is_shown_by_its_alias(place):
    store, ids = place
    assert json.loads(models(store, "show", "champion", "--json").stdout)["id"] == ids[0]
    text = models(store, "show", "champion").stdout
    assert "Better than the best rule on training events (imbalance > 0.5)" in " ".join(text.split())
    assert "12 independent blocks" in " ".join(text.split())
    for shown in (ids[0], "champion", "0123456789ab", "worst drawdown", "10.0%"):
        assert shown in text


def test_what_nobody_registered_is_refused(place):
    done = models(place[0], "show", "canary")
    assert done.exit_code in (2, 3)
    assert "canary" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def judged(place, monkeypatch):
    """The promotion that the test wants; what it was asked with."""
    asked = {}

    def promote(store, model, dataset, *, alias, reason, gates, say):
        asked.update(model=model, dataset=dataset, alias=alias, reason=reason, gates=gates)
        judgement = judge(made_evidence(model=model, **asked.pop("evidence", {})))
        entry = store.promote(alias, store.resolve(model), reason=reason) if judgement.passed else None
        return Promotion(judgement, entry)

    monkeypatch.setattr(command, "promote_model", promote)
    return asked


def test_a_model_that_passes_is_promoted_and_that_is_said(place, judged):
    store, ids = place
    done = models(
        store, "promote", ids[1], "--dataset", "/data", "--reason", "better", "--gate", "max_drawdown=0.2"
    )
    assert done.exit_code == 0, done.output
    assert (judged["dataset"], judged["alias"], judged["gates"].max_drawdown) == ("/data", "champion", 0.2)
    assert f"champion is {ids[1]} instead of {ids[0]} (entry 2: better)" in done.stdout
    assert store.resolve("champion") == ids[1]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_refusal_exits_with_4_and_lists_every_reason(place, judged, words):
    store, ids = place
    judged["evidence"] = {"commit": None, "found": GOOD.replace(worst_drawdown=0.9)}
    done = models(store, "promote", ids[1], "--dataset", "/data", *words)
    assert done.exit_code == 4
    assert len([line for line in done.stderr.splitlines() if line.startswith("  - ")]) >= 2
    assert f"{ids[1]} does not become champion" in done.stderr
    if words:
        found = json.loads(done.stdout)
        assert (found["promoted"], found["entry"]) == (False, None)
    assert store.resolve("champion") == ids[0]


def test_an_unknown_gate_is_refused_before_anything_is_judged(place, judged):
    done = models(place[0], "promote", place[1][1], "--dataset", "/data", "--gate", "max_losses=1")
    assert done.exit_code == 2
    assert "max_losses" in done.stderr
    assert judged == {}


def test_an_alias_goes_back_and_its_history_stays(place):
    store, ids = place
    store.promote("champion", ids[1], reason="tried")
    done = models(store, "rollback", "--reason", "it trades too much")
    assert done.exit_code == 0, done.output
    assert store.resolve("champion") == ids[0]
    kinds = [e["kind"] for e in json.loads(models(store, "history", "--json").stdout)]
    assert kinds == ["promote", "promote", "rollback"]
    assert json.loads(models(store, "history", "--alias", "canary", "--json").stdout) == []
    assert models(store, "rollback", "--alias", "canary").exit_code == 4


def test_registering_says_what_comes_next(place, monkeypatch, tmp_path):
    record = place[0].record(place[1][1])
    monkeypatch.setattr(command, "register_run", lambda store, run, dataset, say: record)
    done = models(place[0], "register", "--run", str(tmp_path / "run"), "--dataset", "/data")
    promote = f"{program()} models promote {record.id}"
    where = f"--registry {place[0].uri}"
    assert f"next: {promote} --dataset /data {where}\n" in done.stdout
    assert f"or, without the gates: {promote} --alias challenger {where}\n" in done.stdout
    old = models(place[0], "register", str(tmp_path / "run"), "--dataset", "/data")
    assert old.stdout == done.stdout
    assert "write --run before RUN" in old.stderr
