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


def with_times(found, times, exits, shares=(0.7, 0.0, 0.1), **changes):
    """``found`` with the given p50s, exits and shares of the three tiers; 20 % have no choice."""
    tiers = [
        t.model_copy(update={"p50_ms": ms, "exit_threshold": at, "exit_share": share})
        for t, ms, at, share in zip(found.judgement.tiers, times, exits, shares, strict=True)
    ]
    judgement = found.judgement.model_copy(update={"tiers": tuple(tiers), **changes})
    thresholds = found.config.thresholds.replace(for_fallback=False)
    config = found.config.model_copy(update={"thresholds": thresholds})
    return found.model_copy(update={"judgement": judgement, "config": config})


@pytest.fixture
def found(place):
    return stored_report(place[1], place[2])


def test_both_cases_stand_in_the_headline_the_one_that_a_service_runs_first(found):
    report = with_times(found, (0.02, 0.07, 0.03), (0.6, None, None))
    # alone 0.8 x 0.03, with tiers 0.8 x 0.02 + 0.1 x 0.03; with a hop of 1 ms 0.8 x 1.03, 0.016 + 0.1 x 1.03
    assert report.case.alone_ms == pytest.approx(0.024)
    assert report.case.tiers_ms == pytest.approx(0.019)
    assert (report.other_case.alone_ms, report.other_case.tiers_ms) == pytest.approx((0.824, 0.119))
    assert report.time_words == (
        "The tiers save next to nothing (0.0500 ms a group was asked for): 0.0190 ms a group with the tiers, "
        "0.0240 ms with tier 3 alone (tier 3 inside the replica, no hop). Were tier 3 in a process of its "
        "own, behind a hop of 1.00 ms: 0.119 ms a group with the tiers, 0.824 ms with tier 3 alone."
    )
    assert not report.saves
    assert "A service asks tier 3 alone" in report.verdict
    assert report.is_stored


def test_tiers_that_are_slower_than_what_they_replace_are_said_to_save_nothing(found):
    report = with_times(found, (0.037, 0.07, 0.020), (0.6, None, None))
    assert report.time_words.startswith(
        "The tiers save nothing here: tier 3 alone is faster. 0.0316 ms a group"
    )
    assert not report.saves
    none = with_times(found, (0.037, 0.07, 0.020), (None, None, None), shares=(0, 0, 0.8))
    assert none.time_words.startswith("The tiers save nothing here: no exits save 0.0500 ms a group or more")
    assert "decides everything itself" in none.kept_words


def test_a_slow_model_behind_a_hop_is_the_case_that_counts_there(found):
    report = with_times(found, (0.02, 0.07, 2.0), (0.6, None, None))
    assert report.case.where == "tier 3 in a process of its own, behind a hop of 1.00 ms"
    assert report.other_case.where == "tier 3 inside the replica, no hop"
    assert report.time_words.startswith("The tiers save time: 0.316 ms a group with the tiers, 2.40 ms with")
    assert report.saves


def test_a_set_that_surely_loses_too_much_is_not_stored_and_an_open_fail_names_its_setting(
    found,
):
    def report(low, high):
        own = found.judgement.champion_return.replace(
            estimate=0.04, low=0.03, high=0.05, n_clusters=25, note=""
        )
        kept = own.replace(estimate=0.9, low=low, high=high)
        difference = own.replace(estimate=-0.004, low=-0.006, high=-0.002)
        changes = {"champion_return": own, "value_kept": kept, "difference": difference, "n_blocks": 25}
        return with_times(found, (0.02, 0.07, 2.0), (0.6, None, None), **changes)

    sure = report(0.85, 0.95)
    assert "FAIL: 90 % [85 %, 95 %] of the model's return kept, 98.0 % asked for" in sure.verdict
    assert not sure.is_stored
    still_open = report(0.80, 1.10)
    assert still_open.is_stored
    assert "asks tiers 1 and 2 first all the same" in still_open.service_words
    assert "--max-value-loss 0.02" in still_open.service_words


def test_an_older_report_that_assumed_a_hop_is_reckoned_as_a_service_runs_it(found):
    report = with_times(found, (0.037, 0.07, 0.020), (0.6, None, None), hop_ms=None, expected_ms=0.239)
    assert report.case.hop_ms == 0
    assert "0.239" not in report.verdict
