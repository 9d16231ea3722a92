"""The report of a tier set lies among its files and is read back, or refused by name."""

import json

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.distillation import report
from kalshi_platform.serving.distillation.report import REPORT_PREFIX, stored_report


def test_the_report_is_of_the_model_and_dataset_of_its_set(place):
    _, registry, tier_set, _ = place
    found = stored_report(registry, tier_set)
    assert (found.model, found.dataset_digest) == (tier_set.model, tier_set.dataset_digest)
    assert found.forms == {t.number: t.forms for t in tier_set.tiers}


def test_a_report_that_real_data_judged_has_no_caution_and_one_without_counts_is_not_taken_for_it(place):
    _, registry, tier_set, _ = place
    found = stored_report(registry, tier_set)
    assert found.caution.startswith("simulated: judged on ")
    real = {"recorded": {"events": 30, "blocks": 30}}
    assert found.replace(judged_on=real).caution == ""
    assert "unknown" in found.replace(judged_on=None).caution


def test_the_report_of_an_older_release_is_read_with_the_names_of_today(place, monkeypatch):
    _, registry, tier_set, _ = place
    found = stored_report(registry, tier_set)
    older = json.loads(found.model_dump_json())
    thresholds = older["config"]["thresholds"]
    thresholds["full_overhead_ms"] = thresholds.pop("tier_3_hop_ms")
    thresholds["tier3_inside_ms"] = thresholds.pop("tier_3_inside_ms")
    for tier, level in zip(older["judgement"]["tiers"], ("tier1", "tier2"), strict=False):
        assert tier["level"] == level.replace("tier", "tier_")
        tier["level"] = level
    monkeypatch.setattr(report, "tier_artefact", lambda *_: json.dumps(older).encode())
    assert stored_report(registry, tier_set) == found


def test_a_set_without_a_report_is_refused(place):
    _, registry, tier_set, _ = place
    kept = {n: d for n, d in tier_set.artefacts.items() if not n.startswith(REPORT_PREFIX)}
    with pytest.raises(DataError, match=f"{tier_set.model} hold no report"):
        stored_report(registry, tier_set.replace(artefacts=kept))


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"version": 1}'])
def test_a_report_that_cannot_be_read_is_named(place, monkeypatch, data):
    _, registry, tier_set, _ = place
    monkeypatch.setattr(report, "tier_artefact", lambda *_: data)
    with pytest.raises(DataError, match=f"{tier_set.model}/{REPORT_PREFIX}.*cannot be read"):
        stored_report(registry, tier_set)


def test_the_verdict_tells_what_is_kept_or_the_difference_where_nothing_can_be(place):
    _, registry, tier_set, _ = place
    found = stored_report(registry, tier_set)
    j = found.judgement
    none = j.difference.replace(estimate=None, low=None, high=None)
    half = j.difference.replace(estimate=0.5, low=0.4, high=0.6)

    def verdict(**changes):
        return found.model_copy(update={"judgement": j.model_copy(update=changes)}).verdict

    assert "50.0 % of the champion's return kept (98.0 % asked for)" in verdict(value_kept=half)
    assert "+50.000% of capital a block" in verdict(value_kept=None, difference=half)
    assert "no block to compare returns on" in verdict(value_kept=None, difference=none)


def test_the_verdict_says_where_tier_3_runs_and_that_nothing_is_saved(place):
    _, registry, tier_set, _ = place
    found = stored_report(registry, tier_set)

    def verdict(**changes):
        return found.model_copy(update={"judgement": found.judgement.model_copy(update=changes)}).verdict

    quick = verdict(expected_ms=0.02, champion_expected_ms=1.02, hop_ms=1.0)
    assert "expected 0.0200 ms instead of 1.02 ms, with a hop of 1.00 ms to tier 3" in quick
    assert "Saves no time" not in quick
    slow = verdict(expected_ms=0.06, champion_expected_ms=0.02, hop_ms=0.0)
    assert slow.startswith("Saves no time: the champion alone is as quick. ")
    assert "tier 3 inside the replica, no hop" in slow
    assert verdict(expected_ms=0.5, champion_expected_ms=0.5).startswith("Saves no time")
    assert "a hop of 1.00 ms" in verdict(hop_ms=None)  # as older releases reckoned
