"""From level to level: kept levels are gone on from, the others end the way, finished ones stay."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from made.evaluation_bank import random_bank
from made.progressive import CONFIG, judged, level, record

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training import session
from kalshi_platform.models.networks.transfer import TransferReport
from kalshi_platform.models.registry.provenance import DataCount
from kalshi_platform.models.rules.baselines import HoldToSettlement
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.workflows import progressive
from kalshi_platform.workflows.progressive import require_halves, run_progressive
from kalshi_platform.workflows.progressive_record import Transfer, read_progressive
from kalshi_platform.workflows.progressive_report import write_progressive

MARKETS = tuple(
    SimpleNamespace(provenance="simulated", event=event, block=None, split=split)
    for event, split in (("A", "train"), ("B", "validation"), ("C", "validation"), ("D", "test"))
)


def dataset(digest="d" * 12, parents=()):
    """Stand-in of a dataset with four events, two of them in validation."""
    return SimpleNamespace(
        uri="/data",
        digest=digest,
        manifest=SimpleNamespace(parents=parents),
        entries=lambda split: tuple(market for market in MARKETS if market.split == split),
    )


@pytest.fixture
def climbed(monkeypatch):
    """Levels that are kept or not as the test says; what each began from."""
    asked = SimpleNamespace(kept=[], began=[])

    class Pipeline:
        def __init__(self, config, *_):
            self.config = config

        def climb(self, found):
            asked.began.append(found.kept.level if found.kept else None)
            return level(self.config.levels[len(found.levels)], asked.kept.pop(0))

    monkeypatch.setattr(progressive, "_Pipeline", Pipeline)
    monkeypatch.setattr(progressive.Dataset, "open", lambda uri: dataset())
    return asked


def test_every_level_begins_from_the_last_one_kept_until_all_are_done(climbed, tmp_path: Path):
    climbed.kept = [True, True]
    said: list[str] = []
    found = run_progressive(CONFIG, "/data", tmp_path, said.append)
    assert climbed.began == [None, "simple"]
    assert [x.level for x in found.levels] == ["simple", "moderate"]
    assert read_progressive(tmp_path) == found
    assert said[-1] == found.verdict
    assert found.judged_on == {"simulated": DataCount(events=2, blocks=2)}  # B and C, of validation


def test_a_plateau_that_no_level_can_reach_is_told_before_anything_is_trained(climbed, tmp_path: Path):
    climbed.kept = [False]
    said: list[str] = []
    short = CONFIG.replace(steps_per_level=10_000)  # 3 iterations, validated after the first and the last
    run_progressive(short, "/data", tmp_path, said.append)
    assert said[0].startswith("a level validates 2 times, two windows of 6 validations need 12")


@pytest.mark.parametrize(("kept", "levels"), [([False], 1), ([True, False], 2)])
def test_a_level_that_is_not_kept_ends_the_way(climbed, tmp_path: Path, kept, levels):
    climbed.kept = list(kept)
    assert len(run_progressive(CONFIG, "/data", tmp_path).levels) == levels
    assert climbed.kept == []


def test_levels_that_were_finished_are_not_climbed_again(climbed, tmp_path: Path):
    write_progressive(record(level("simple", True)), tmp_path)
    climbed.kept = [True]
    run_progressive(CONFIG, "/data", tmp_path)
    assert climbed.began == ["simple"]
    assert len(run_progressive(CONFIG, "/data", tmp_path).levels) == 2  # nothing is left: nobody climbs


def test_a_folder_of_other_settings_or_data_is_refused(climbed, tmp_path: Path, monkeypatch):
    write_progressive(record(), tmp_path)
    with pytest.raises(ContractError, match=CONFIG.digest):
        run_progressive(CONFIG.replace(min_gain_sharpe=0.7), "/data", tmp_path)
    for parents, said in (
        ((), "asked for eeeeeeeeeeee, "),
        (("d" * 12,), "eeeeeeeeeeee, which grew from it"),
    ):
        other = dataset("e" * 12, parents)
        monkeypatch.setattr(progressive.Dataset, "open", lambda uri, other=other: other)
        with pytest.raises(ContractError, match=said):
            run_progressive(CONFIG, "/data", tmp_path)


def test_a_level_is_judged_as_training_validates(monkeypatch):
    bank, env = random_bank(4, 1, 60), EnvConfig(n_slots=2, latency_ms=0)
    for module in (progressive, session):
        monkeypatch.setattr(module, "trained", lambda _: lambda vector: HoldToSettlement(vector.layout, bank))
    found = progressive.judge(None, bank, env)
    validated: Validation = session.validator(bank, env)(None)
    assert found.score.estimate == validated.score
    assert (found.sharpe, found.events) == (validated.sharpe, validated.events)


def test_the_blocks_that_decide_chose_no_checkpoint(monkeypatch):
    bank, env = random_bank(9, 1, 60), EnvConfig(n_slots=2, latency_ms=0)
    for module in (progressive, session):
        monkeypatch.setattr(module, "trained", lambda _: lambda vector: HoldToSettlement(vector.layout, bank))
    choosing, deciding = require_halves(bank, "ds")
    assert (len(choosing), len(deciding), choosing & deciding) == (5, 4, frozenset())
    found = progressive.judge(None, bank, env, deciding)
    assert (set(found.block_returns), found.n_blocks) == (deciding, 4)
    assert set(session.validator(bank, env, choosing)(None).block_returns) == choosing
    both = progressive.judge(None, bank, env).block_returns
    assert both | found.block_returns == both, "a part is played as it is in the whole"


def test_five_validation_blocks_are_refused_before_a_level_is_trained():
    with pytest.raises(DataError, match=r"ds has 5 independent blocks .* at least 6 blocks are needed"):
        require_halves(random_bank(5, 3, 40), "ds")


@pytest.mark.parametrize(("exact", "words"), [(True, "exactly"), (False, "with a KL of 0.012 nats")])
def test_where_a_level_starts_is_said(exact, words):
    report = TransferReport(
        teacher="simple", student="moderate", exact=exact, differences=(), new_features=(),
        teacher_parameters=10, student_parameters=20,
    )  # fmt: skip
    transfer = Transfer(report=report, kl=0.0123, n_observations=64, before_training=judged(0.7))
    assert progressive._origin(level("simple", True), transfer).startswith(
        f"; starts from simple {words}, at"
    )
    assert progressive._origin(None, None) == ""
