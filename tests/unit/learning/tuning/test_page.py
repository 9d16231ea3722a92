"""The page that compares runs: complete, self-contained, escaped, the same figures as its JSON."""

import re

import numpy as np
import pytest
from made.evaluation_bank import random_bank
from made.pages import sound_page
from made.runs import make_run, make_sweep, trial, whole_sweep
from rich.console import Console

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.report import write_report
from kalshi_platform.learning.tuning.findings import FindingsConfig
from kalshi_platform.learning.tuning.page import (
    compare_runs,
    read_page,
    render_html,
    terminal_view,
    write_page,
)
from kalshi_platform.models.rules.baselines import HoldToSettlement
from kalshi_platform.simulation.envs.config import EnvConfig

EVIL = '<script>alert("x")</script>'
QUICK = FindingsConfig(cscv={"blocks": 4}, superiority={"resamples": 100}, bootstrap={"resamples": 100})
SECTIONS = [
    "How much of it is luck",
    "Trials",
    "Learning curves",
    "Settings against score",
    "Scores with intervals",
    "Return by trial and block",
    "Finalists over seeds",
    "The winner's report",
    "How this was made",
]


def tags_of(page, folder=None):
    assert not re.search(r"https?://", page)
    return sound_page(page, folder)


def links_of(tags):
    """Links to other files."""
    return [link for link in tags.links if not link.startswith("#")]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "made"
    whole_sweep(folder)
    config = EvalConfig(bootstrap={"resamples": 200}, seeds=(0, 1), rollout={"grid_points": 20})
    env = EnvConfig(n_slots=1, latency_ms=0)
    report = evaluate(lambda e: HoldToSettlement(e.layout, e.bank), random_bank(4, 2, 60), env, config)
    write_report(report, folder / "winner")
    return folder


@pytest.fixture(scope="module")
def compared(sweep):
    return compare_runs([sweep], QUICK)


def test_the_page_holds_every_section_and_fetches_nothing(sweep, compared):
    tags = tags_of(render_html(compared, sweep))
    assert tags.headings == ["What was asked", *SECTIONS, "Words"]
    assert links_of(tags) == ["winner/report.html"]


def test_the_page_says_what_was_asked_and_how_each_trial_ended(sweep, compared):
    page = render_html(compared, sweep)
    for text in (
        "Does a larger learning rate help?",
        "Not beyond 1e-3.",
        "python -m tune_experiments.made --smoke",
        "c0ffee",
        "no gain of 0.001 in 4 validations; best at iteration 24",
        "TrainingError: loss is not finite",
        "Hansen&#39;s test against market maker",
    ):
        assert text in page
    for run in compared.runs:
        assert f">{run.name}<" in page


def test_every_figure_stands_in_the_page_with_its_sentence_and_what_it_rests_on(sweep, compared):
    page = render_html(compared, sweep)
    for figure in compared.figures:
        assert figure.meaning.split("'")[0].replace("<", "&lt;")[:60] in page
        assert figure.behind in page


def test_the_winners_report_is_headline_baselines_and_doctor(sweep, compared):
    report = compared.winner_report
    page = render_html(compared, sweep)
    assert report.comparisons
    for comparison in report.comparisons:
        assert comparison.baseline in page
    for finding in report.findings:
        assert finding.rule in page


def test_the_link_to_the_winner_is_relative_to_where_the_page_lies(compared, sweep):
    page = render_html(compared, sweep.parent / "elsewhere")
    assert links_of(tags_of(page)) == ["../made/winner/report.html"]


def test_the_json_holds_the_same_comparison(compared, tmp_path):
    html, path = write_page(compared, tmp_path / "out")
    assert html.read_text().startswith("<!doctype html>")
    assert read_page(path) == compared
    assert sorted(p.name for p in path.parent.iterdir()) == ["compare.html", "compare.json"]
    assert "NaN" not in path.read_text()


def test_a_folder_that_cannot_be_written_is_named(compared, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/compare\.html could not be written"):
        write_page(compared, tmp_path / "file")


def test_names_from_outside_are_escaped(tmp_path):
    found = make_run(tmp_path / "trials" / "t", np.linspace(-0.01, 0.03, 10))
    record = trial("t", found, reason=EVIL, level=EVIL).replace(id=EVIL)
    baselines = {EVIL: dict.fromkeys(found.events, 0.001)}
    make_sweep(tmp_path, [record], EVIL, baselines, name=EVIL, question=EVIL, command=EVIL, commit=EVIL)
    page = render_html(compare_runs([tmp_path], QUICK), tmp_path)
    assert EVIL not in page
    assert page.count("&lt;script&gt;") > 8
    tags_of(page)


def test_one_run_alone_is_a_page(tmp_path):
    make_run(tmp_path / "a", np.linspace(-0.01, 0.03, 10))
    page = render_html(compare_runs([tmp_path / "a"], QUICK), tmp_path)
    assert tags_of(page).headings == [*SECTIONS, "Words"]
    assert "no setting differs between the runs" in page
    assert "The winner was not evaluated" in page


@pytest.mark.parametrize("n_events", [1, 3])
def test_few_events_are_a_page_with_notes(tmp_path, n_events):
    for k in range(2):
        make_run(tmp_path / str(k), np.arange(n_events) * 0.01 + k, learning_rate=1e-3 * (k + 1))
    page = render_html(compare_runs([tmp_path / "0", tmp_path / "1"], QUICK), tmp_path)
    assert f"only {n_events} blocks shared by all trials" in page
    tags_of(page)


def test_runs_that_never_validated_are_a_page(tmp_path):
    make_run(tmp_path / "a", None)
    make_sweep(tmp_path / "s", [trial("t", status="failed", reason="out of memory", learning_rate=0.1)])
    page = render_html(compare_runs([tmp_path / "a", tmp_path / "s"], QUICK), tmp_path)
    tags_of(page)
    assert "No winner" in page
    assert "out of memory" in page
    assert "no run was validated while it trained" in page


def test_a_sweep_whose_only_trial_left_nothing_is_a_page(tmp_path):
    make_sweep(tmp_path, [trial("t", status="failed", reason="lost its machine")])
    tags_of(render_html(compare_runs([tmp_path], QUICK), tmp_path))


def test_a_damaged_report_of_the_winner_is_said_on_the_page(tmp_path):
    found = make_run(tmp_path / "trials" / "t", np.linspace(-0.01, 0.03, 10))
    make_sweep(tmp_path, [trial("t", found)], "t")
    (tmp_path / "winner").mkdir()
    (tmp_path / "winner" / "report.json").write_text("{")
    compared = compare_runs([tmp_path], QUICK)
    assert compared.winner_report is None
    assert "report.json cannot be shown" in compared.problems[0]
    assert "report.json cannot be shown" in render_html(compared, tmp_path)


def test_the_terminal_shows_every_run_figure_and_the_verdict(compared):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal_view(compared))
    text = console.export_text()
    console.file.close()
    for run in compared.runs:
        assert run.name in text
    for figure in compared.figures:
        assert f"{figure.name}: {figure.value}" in text
    assert compared.verdict in text


def test_the_page_is_the_same_when_written_again(sweep, compared):
    again = compare_runs([sweep], QUICK)
    untimed = [found.replace(made=None).model_dump_json() for found in (compared, again)]
    assert untimed[0] == untimed[1]


def test_the_pages_of_a_sweep_and_its_winner_link_each_other(sweep, compared):
    html, _ = write_page(compared, sweep)
    assert {"winner/report.html", "compare.json"} <= set(tags_of(html.read_text(), sweep).links)
    winner = sweep / "winner"
    assert "../compare.html" in tags_of((winner / "report.html").read_text(), winner).links


def test_the_page_and_the_terminal_say_on_which_data_the_runs_were_judged(tmp_path):
    make_run(tmp_path / "run", np.linspace(0.01, 0.05, 12))
    found = compare_runs([tmp_path / "run"], QUICK)
    assert found.data_words == "Judged on 12 events in 12 blocks simulated"
    assert found.worth.startswith("Simulated: ")
    assert found.data_words in render_html(found, tmp_path)
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal_view(found))
    console.file.close()
    assert found.data_words in console.export_text()


def test_the_first_line_claims_nothing_of_a_winner_that_met_no_rule(tmp_path):
    make_run(tmp_path / "t", np.linspace(-0.03, 0.03, 10))
    compared = compare_runs([tmp_path / "t"], QUICK)
    assert compared.worth.startswith("Simulated: ")
    assert not {"Better", "Earns"} & set(compared.worth.split())
    page = render_html(compared, tmp_path)
    assert page.index("says nothing about a market") < page.index(compared.data_words)
