"""What a tier set is worth, on events that chose nothing."""

import numpy as np
import pytest
from made.tiers_place import ENV

from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.serving.distillation.build import report_tiers
from kalshi_platform.serving.distillation.halves import halves
from kalshi_platform.serving.distillation.judge import exit_curve, value_kept
from kalshi_platform.serving.distillation.report import stored_report
from kalshi_platform.simulation.replay.open import open_bank


def test_the_report_judges_by_events_that_chose_nothing(place):
    folder, registry, tier_set, _ = place
    report = stored_report(registry, tier_set)
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    tuning, judging = halves(bank)
    assert (report.calibration_events, report.choice.n_events) == (len(tuning), len(tuning))
    assert report.judgement.n_events == len(judging)
    shares = [t.exit_share for t in report.judgement.tiers]
    assert sum(shares) + report.judgement.without_choice == pytest.approx(1)
    assert tier_set.report["exit_share_tier_1"] == shares[0]
    for tier, judged in zip(tier_set.tiers, report.judgement.tiers, strict=True):
        assert judged.exit_threshold == tier.exit_threshold


def test_judging_again_finds_the_same_but_for_the_time_it_takes(place):
    folder, registry, tier_set, _ = place
    first = stored_report(registry, tier_set).judgement
    again = report_tiers(registry, "champion", str(folder / "data")).judgement
    times = {"p50_ms", "p99_ms", "wall_p99_ms", "wall_s", "expected_ms", "champion_expected_ms"}
    timed = dict.fromkeys(times, True) | {"tiers": {"__all__": {"p50_ms", "p99_ms"}}}
    assert again.model_dump(exclude=timed) == first.model_dump(exclude=timed)


def test_the_exit_curve_counts_who_leaves_and_who_is_right():
    curve = exit_curve(np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True]))
    by_threshold = {p.threshold: (p.share, p.agreement) for p in curve}
    # at 0.4 three leave, two of them right; at 0.8 one, right
    assert by_threshold[0.4] == (0.75, pytest.approx(2 / 3))
    assert by_threshold[0.8] == (0.25, 1.0)
    assert by_threshold[0.2] == (1.0, 0.5)


def test_the_value_kept_has_bounds_only_where_the_champion_surely_earns():
    config = BootstrapConfig(resamples=500)
    champion = np.linspace(0.05, 0.15, 20)
    kept = value_kept(champion * 0.9, champion, config)
    assert (kept.estimate, kept.low, kept.high) == (pytest.approx(0.9),) * 3
    shaky = champion - 0.095
    kept = value_kept(shaky * 0.9, shaky, config)
    assert kept.estimate == pytest.approx(0.9)
    assert (kept.low, kept.high) == (None, None)
    assert "read the difference" in kept.note
    assert value_kept(champion, champion - 1, config) is None
