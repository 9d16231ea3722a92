"""The order of the quickstart's stages, what is continued, and which seed is taken."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from made.many_markets import write_many

from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.program import command_line
from kalshi_platform.workflows import quickstart as workflow
from kalshi_platform.workflows.quickstart import QuickstartConfig, quickstart


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """Stages that only say that they were asked; ``scores`` are those of the seeds."""
    found = SimpleNamespace(
        scores=[0.1],
        earlier=(),
        trained=[],
        opened=[],
        chosen=[],
        splits=[],
        built=[],
        reports=[],
        published=None,
    )

    def train(settings, dataset, run, shown, resume):
        found.trained.append((settings.train.seed, run, resume))
        (run / "checkpoints" / "000001").mkdir(parents=True, exist_ok=True)
        return SimpleNamespace(env_steps=100)

    def build(inputs, uri, config, progress):
        found.built.append((uri, config.use_yes_price))
        found.splits.append(config.split)
        return manifest

    def publish(registry, run, dataset, tiers, say):
        found.published = run
        return SimpleNamespace(tier_report=None)

    markets = write_many(tmp_path / "markets", 1).markets
    manifest = SimpleNamespace(markets=markets, digest="d" * 12, events=lambda split: ["E1"])
    of_opened = SimpleNamespace(feature_digest="f" * 12, counters={}, worlds=(), recordings=())
    opened = SimpleNamespace(digest="d" * 12, manifest=of_opened)
    scores = iter(())

    def evaluate(policy, bank, env, config, **rest):
        nonlocal scores
        score = next(scores)
        rest["keep_ledger"](f"ledger of {score}")
        return SimpleNamespace(score=score, policy=SimpleNamespace(mean_return=score), **rest)

    def open_held_out(dataset, split, final, folder, subject):
        nonlocal scores
        found.opened.append((split, folder))
        scores = iter(found.scores)
        return found.earlier

    def write_report(judged, out, metrics, siblings=(), ledger=None):
        found.reports.append((out, ledger))
        return out / "report.html", out / "report.json"

    fakes = {
        "build_dataset": build,
        "run_training": train,
        "open_held_out": open_held_out,
        "open_bank": lambda uri, split, groups: SimpleNamespace(n_rows=10),
        "evaluate": evaluate,
        "trained": lambda policy: policy,
        "read_metrics": lambda run: [],
        "write_report": write_report,
        "sample_training": lambda policy, dataset, env, config, trained_on, say: trained_on,
        "interval_text": str,
        "verdict": lambda found: "",
        "worth_line": lambda found: "",
        "remember": lambda out, basis: None,
        "choose_on_train": lambda uri, env, say: found.chosen.append(uri),
        "publish_run": publish,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(workflow, name, fake)
    monkeypatch.setattr(workflow.Dataset, "open", lambda uri: opened)
    monkeypatch.setattr(workflow.FrozenPolicy, "load", lambda run: run)
    found.out = tmp_path
    found.run = lambda recordings="rec", **changes: quickstart(
        QuickstartConfig(**changes), [Path(recordings)], tmp_path, lambda line: None
    )
    return found


@pytest.mark.parametrize(
    ("scores", "taken"),
    [([0.1], 0), ([0.3, 0.1], 1), ([0.3, 0.1, 0.2], 2), ([0.4, 0.1, 0.3, 0.2], 3)],
)
def test_the_seed_of_median_return_is_published_the_lower_middle_of_an_even_number(stages, scores, taken):
    stages.scores = scores
    done = stages.run(seeds=len(scores))
    assert stages.published.name == f"seed-{taken}"
    assert done.evaluation.score == scores[taken]
    assert [e.score for e in done.siblings] == scores


def test_every_report_gets_the_ledger_of_its_own_seed(stages):
    stages.scores = [0.3, 0.1, 0.2]
    done = stages.run(seeds=3)
    *own, (out, ledger) = stages.reports
    assert [written for _, written in own] == ["ledger of 0.3", "ledger of 0.1", "ledger of 0.2"]
    assert (out, ledger) == (done.html.parent, "ledger of 0.2")  # of the median seed, beside the first report
    assert {e.train for e in done.siblings} == {"d" * 12}  # the state that taught every seed


def test_the_test_split_is_opened_once_after_every_seed_was_trained(stages):
    stages.scores = [0.1, 0.2]
    stages.run(seeds=2)
    assert [seed for seed, *_ in stages.trained] == [0, 1]
    ((split, folder),) = stages.opened
    assert (split, folder.name) == ("test", "dataset")
    assert stages.chosen == [str(folder)]  # the rules to beat, once for all seeds


def test_a_repeated_call_resumes_and_other_recordings_or_settings_get_a_folder_of_their_own(stages):
    stages.run()
    stages.run()
    (_, first, fresh), (_, again, resumed) = stages.trained
    assert (first, fresh, resumed) == (again, False, True)
    stages.run("other")
    stages.run(run=QuickstartConfig().run.with_values({"train.gamma": 0.9}))
    folders = {run for _, run, _ in stages.trained}
    assert len(folders) == 3


def test_the_shares_of_the_splits_reach_the_build_and_are_part_of_its_name(stages):
    stages.run()
    stages.run(split=SplitConfig(train=200, validation=50, test=50))
    assert [(s.train, s.test) for s in stages.splits] == [(250, 25), (200, 50)]
    assert len({uri for uri, _ in stages.built}) == 2


def test_the_price_scale_of_captures_reaches_the_build_and_is_part_of_its_name(stages):
    stages.scores = [0.1]
    for scale in (None, True, False):
        stages.run(use_yes_price=scale)
    assert [scale for _, scale in stages.built] == [None, True, False]
    assert len({uri for uri, _ in stages.built}) == 3


def test_recordings_too_short_to_train_on_are_refused_with_the_way_to_judge_on_them(tmp_path):
    quotes = tmp_path / "quotes.csv"
    rows = [f"KXMADE-26DEC01-T50,0.4{k % 5},0.5{k % 5},{1795400000000 + 1_000 * k}" for k in range(30)]
    quotes.write_text("\n".join(["ticker,yes_bid_dollars,yes_ask_dollars,recv_ms", *rows]))
    said: list[str] = []
    with pytest.raises(DataError, match="no event in train, validation, test") as refused:
        quickstart(QuickstartConfig(), [quotes], tmp_path / "out", said.append)
    (dataset,) = (tmp_path / "out").glob("work-*/dataset")
    run = tmp_path / "out" / "run"
    judge = command_line("evaluate", "--run", run, "--dataset", dataset, "--split", "all")
    assert judge in str(refused.value)
    assert not any("training" in line for line in said)


def test_the_newest_dataset_and_run_are_found_at_one_place(stages, tmp_path):
    for recordings in ("rec", "other"):
        stages.run(recordings)
        _, run, _ = stages.trained[-1]
        assert (tmp_path / "run").resolve() == run.resolve()
        assert (tmp_path / "dataset").readlink() == Path(stages.built[-1][0]).relative_to(tmp_path)


def test_a_folder_in_the_links_place_is_left_alone_and_told(tmp_path):
    (tmp_path / "dataset" / "mine").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    lines: list[str] = []
    workflow.name_places(tmp_path, tmp_path / "work", tmp_path / "work", lines.append)
    assert lines[0].startswith(f"dataset: {tmp_path / 'work'} (no link {tmp_path / 'dataset'} to it: ")
    assert lines[1] == f"run: {tmp_path / 'run'} -> {tmp_path / 'work'}"
    assert (tmp_path / "dataset" / "mine").is_dir()


def test_a_report_with_nothing_new_to_measure_is_shown_and_the_test_split_stays_shut(stages, monkeypatch):
    kept = [SimpleNamespace(score=0.1)]
    monkeypatch.setattr(workflow, "still_true", lambda out, basis, reports: kept)
    monkeypatch.setattr(workflow, "_written", lambda out: "2026-11-28 10:00 UTC")
    said: list[str] = []
    done = quickstart(QuickstartConfig(), [Path("rec")], stages.out, said.append)
    assert done.siblings == tuple(kept)
    assert stages.opened == stages.reports == []
    assert [line for line in said if line.startswith("report: the one of 2026-11-28 10:00 UTC is shown")]
    quickstart(QuickstartConfig(), [Path("rec")], stages.out, said.append, again=True)
    assert len(stages.opened) == 1


def test_who_looks_at_the_test_events_once_more_is_told_when_they_were_looked_at(stages):
    stages.earlier = ("2026-11-28T10:00:00+00:00", "2026-11-28T12:00:00+00:00")
    said: list[str] = []
    done = quickstart(QuickstartConfig(), [Path("rec")], stages.out, said.append)
    words = (
        "the test events were opened 2 times before (2026-11-28): "
        "a figure that was looked at before is worth less"
    )
    assert words in said
    assert done.evaluation.subject.opened_before == stages.earlier
    assert words in done.evaluation.subject.doubts_words
