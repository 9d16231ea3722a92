"""What a tier set is worth, on events that chose nothing."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from made.registry_models import made_policy
from made.tiers_place import ENV

from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.rules.filtered import ReplayFilter
from kalshi_platform.models.rules.trading_filter import FREE
from kalshi_platform.serving.distillation.build import report_tiers
from kalshi_platform.serving.distillation.cascade import Theatre
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.halves import halves
from kalshi_platform.serving.distillation.judge import Made, exit_curve, judge, value_kept
from kalshi_platform.serving.distillation.report import stored_report
from kalshi_platform.serving.inference.engine_torch import TorchEngine
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


class _PlainTiers:
    """The cascade in plain Python, one group after the other, as ``theatre._run`` plays any policy."""

    def __init__(self, made, env, bank) -> None:
        self.made, self.filter, self.bank = made, ReplayFilter(env), bank
        self.decided = defaultdict(Counter)  # block -> who decided
        self.agreed = defaultdict(list)  # block -> was the model's action taken

    def act(self, flat, rows):
        forced = self.filter.look().copy()
        layout = self.made[-1].policy.spec.layout
        legal = layout.action_mask(flat) > 0.5
        actions = np.zeros(rows.shape, np.int8)
        for n in range(len(rows)):
            if (rows[n] < 0).all():
                continue
            block = self.block_of(rows[n].max())
            free = [s for s in range(rows.shape[1]) if rows[n, s] >= 0 and legal[n, s].sum() > 1]
            free = [s for s in free if forced[n, s] == FREE]
            for s in range(rows.shape[1]):
                actions[n, s] = forced[n, s] if forced[n, s] != FREE else 0
            logits = {m.number: m.engine.logits(flat[n : n + 1], None)[0] for m in self.made}
            who = "nobody"
            for m in self.made if free else ():
                sure = 1.0
                for s in free:
                    scaled = np.where(legal[n, s], logits[m.number][s], -np.inf).astype(float) / m.temperature
                    weights = np.exp(scaled - scaled.max())
                    sure = min(sure, weights.max() / weights.sum())
                    actions[n, s] = int(scaled.argmax())
                who = m.number
                if m.number == 3 or sure >= m.exit_threshold:
                    break
            self.decided[block][who] += 1
            for s in free:
                wanted = np.where(legal[n, s], logits[3][s], -np.inf).argmax()
                self.agreed[block].append(int(actions[n, s]) == wanted)
        return actions

    def block_of(self, row):
        segments = self.bank.arrays.segments
        at = [k for k in range(len(segments)) if segments["start"][k] <= row < segments["stop"][k]]
        return self.bank.markets[segments["market"][at[0]]].block


def _plain_means(sample):
    """Block -> mean over its events of the mean over their markets of the return, by dictionaries."""
    of_market = defaultdict(float)
    for market, pnl in zip(sample.records.market.tolist(), sample.records.pnl_e6.tolist(), strict=True):
        of_market[market] += pnl / ENV.capital_e6
    of_event, of_block = defaultdict(list), defaultdict(list)
    for market, value in of_market.items():
        of_event[sample.bank.markets[market].event].append(value)
    block_of = {m.event: m.block for m in sample.bank.markets}
    for event, values in of_event.items():
        of_block[block_of[event]].append(sum(values) / len(values))
    return {block: sum(values) / len(values) for block, values in of_block.items()}


def test_every_figure_is_of_the_judging_half_alone_and_a_plain_recomputation_finds_the_same(place):
    folder, registry, tier_set, _ = place
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    named = sorted({m.block for m in bank.markets}, key=lambda b: hashlib.sha256(b.encode()).hexdigest())
    judging = set(named[(len(named) + 1) // 2 :])  # by hand: the second half in the order of the hash
    config = TiersConfig.smoke()
    model = load_model(registry, "champion").policy
    students = {n: FrozenPolicy(made_policy("tiny", seed=n).network) for n in (1, 2)}
    form = tier_set.tiers[2].forms[0]
    made = [
        Made(n, p, TorchEngine(p.network), form, t, exit_at)
        for n, p, t, exit_at in (
            (1, students[1], 1.3, 0.24),
            (2, students[2], 0.9, 0.22),
            (3, model, 1.0, None),
        )
    ]
    events = halves(bank)[1]
    assert {m.block for m in bank.markets if m.event in events} == judging
    theatre = Theatre(bank, events, ENV, model, config.judge)
    first = judge(made, theatre, config.thresholds, 0, "validation", True)
    middle = [t.exits[len(t.exits) * 2 // 3].threshold for t in first.tiers[:2]]  # so that each lets some out
    made = [m._replace(exit_threshold=at) for m, at in zip(made, (*middle, None), strict=True)]
    found = judge(made, theatre, config.thresholds, 0, "validation", True)
    env = theatre.stage()
    plain = _PlainTiers(made, env, bank)
    tiers = _plain_means(theatre._run(plain, env, "plain", filtered=False))
    alone = _plain_means(theatre.play(NetworkPolicy(model.network, bank.arrays), "model"))
    assert set(tiers) == set(alone) == judging == set(plain.decided)
    assert found.n_blocks == len(judging)
    shares = {
        who: sum(c[who] / sum(c.values()) for c in plain.decided.values()) / len(judging)
        for who in (1, 2, 3, "nobody")
    }
    assert [t.exit_share for t in found.tiers] == pytest.approx([shares[1], shares[2], shares[3]])
    assert found.without_choice == pytest.approx(shares["nobody"])
    assert min(shares[1], shares[2], shares[3]) > 0.01  # all three decide something, or nothing is tested
    agreement = [sum(a) / len(a) for a in plain.agreed.values() if a]
    assert found.agreement == pytest.approx(sum(agreement) / len(agreement))
    mean = {name: sum(values.values()) / len(judging) for name, values in (("t", tiers), ("m", alone))}
    assert found.cascade_return.estimate == pytest.approx(mean["t"], abs=1e-12)
    assert found.champion_return.estimate == pytest.approx(mean["m"], abs=1e-12)
    assert found.difference.estimate == pytest.approx(mean["t"] - mean["m"], abs=1e-12)
    if mean["m"] > 0:
        assert found.value_kept.estimate == pytest.approx(mean["t"] / mean["m"])
    else:
        assert found.value_kept is None


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
