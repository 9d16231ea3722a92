"""The decision on a level, the record and the page of a progressive run."""

import re
from pathlib import Path

import pytest
from made.progressive import CONFIG, interval, judged, latency, level, record

from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.models.networks.transfer import TransferReport
from kalshi_platform.workflows.progressive_record import (
    Transfer,
    decide,
    decide_first,
    read_progressive,
)
from kalshi_platform.workflows.progressive_report import (
    render_progressive,
    sharpe_interval,
    write_progressive,
)


def grown() -> Transfer:
    report = TransferReport(
        teacher="simple",
        student="moderate",
        exact=False,
        differences=("attention layer 1 <b>",),
        new_features=(),
        teacher_parameters=10,
        student_parameters=20,
    )
    return Transfer(report=report, kl=0.0123, n_observations=64, before_training=judged(0.7))


@pytest.mark.parametrize(
    ("difference", "p99_ms", "kept", "reason"),
    [
        (interval(0.1, 0.01, 0.2), 10.0, True, "gains +0.100 Sharpe over simple, at least +0.010"),
        (interval(0.099, 0.01, 0.2), 1.0, False, "gains +0.099 Sharpe over simple, less than 0.1"),
        (interval(0.3, 0.0, 0.6), 1.0, False, "may be as low as +0.000, not surely above zero"),
        (
            interval(0.3, 0.1, 0.6),
            10.1,
            False,
            "p99 of a decision is 10.1 ms of computing, its budget 10 ms",
        ),
        (
            interval(0.3),
            1.0,
            False,
            "the gain of +0.300 Sharpe over simple has no interval, not surely above zero",
        ),
        (interval(None), 1.0, False, "its gain over simple is unknown (one event only)"),
    ],
)
def test_a_level_is_kept_where_it_gains_enough_surely_and_is_fast(difference, p99_ms, kept, reason):
    found, words = decide(CONFIG, "simple", difference, latency(p99_ms), 10.0)
    assert found is kept
    assert reason in words


def test_everything_that_is_wrong_with_a_level_is_said_at_once():
    _, words = decide(CONFIG, "simple", interval(-0.2, -0.5, 0.1), latency(20.0), 10.0)
    assert words.count(";") == 2


def test_the_first_level_must_reach_its_sharpe():
    assert decide_first(CONFIG, judged(0.5)) == (
        True,
        "Sharpe 0.500 an event reaches the 0.5 asked of the first level",
    )
    assert decide_first(CONFIG, judged(0.49))[0] is False


def test_the_level_to_use_is_the_last_one_kept():
    both = record(level("simple", True), level("moderate", False, "it gains too little"))
    assert both.require_kept().level == "simple"
    assert both.is_finished
    assert both.verdict == "Use simple. Moderate is not kept: it gains too little."
    assert record(level("simple", True), level("moderate", True)).require_kept().level == "moderate"
    assert not record(level("simple", True)).is_finished
    assert not record().is_finished


def test_a_first_level_that_is_not_worth_it_ends_with_a_limit():
    failed = record(level("simple", False, "Sharpe 0.1 is below"))
    assert failed.is_finished
    with pytest.raises(LimitError, match=r"No level is worth using: Sharpe 0\.1 is below"):
        failed.require_kept()


def test_settings_of_a_level_start_from_its_teacher():
    chosen = CONFIG.replace(steps_per_level=5_000).settings_of("moderate", "/runs/0-simple")
    assert (chosen.train.level, chosen.train.teacher) == ("moderate", "/runs/0-simple")
    assert chosen.train.total_env_steps == 5_000


def test_a_teacher_of_ones_own_or_an_unknown_level_is_refused():
    with pytest.raises(ContractError, match="the pipeline chooses the teacher itself"):
        CONFIG.replace(run=RunSettings().with_values({"train.teacher": "x"}))
    with pytest.raises(ContractError, match="level 'huge' is unknown"):
        CONFIG.replace(levels=("huge",))


def test_the_page_is_whole_says_why_and_escapes_what_it_shows(tmp_path: Path):
    found = record(level("simple", True), level("moderate", True, "it gains a lot", grown()))
    html, text = write_progressive(found, tmp_path)
    assert read_progressive(tmp_path) == found
    assert text.name == "progressive.json"
    page = html.read_text()
    assert "it gains a lot" in page
    assert "+0.200 [+0.050, +0.400]" in page
    assert "attention layer 1 &lt;b&gt;" in page
    assert "0.012" in page
    assert not re.search(r"(src|href)=", page)  # nothing is fetched


def test_curves_of_every_level_are_drawn():
    rows = [
        {"env_steps": 100 * k, "entropy": 1.0 / k, "validation": {"score": 0.01 * k, "sharpe": 0.1 * k}}
        for k in range(1, 5)
    ]
    page = render_progressive(record(level("simple", True)), {"simple": rows})
    assert page.count("<polyline") == 4  # score, Sharpe, and in the details score and entropy


def test_a_damaged_record_is_refused_by_name(tmp_path: Path):
    assert read_progressive(tmp_path) is None
    (tmp_path / "progressive.json").write_text("{")
    with pytest.raises(DataError, match=r"progressive\.json is not JSON"):
        read_progressive(tmp_path)


def test_an_unknown_difference_is_a_dash():
    assert sharpe_interval(None) == sharpe_interval(interval(None)) == "-"
    assert sharpe_interval(interval(0.25)) == "+0.250"
