"""The page of a progressive run."""

from pathlib import Path

from made.pages import sound_page
from made.progressive import interval, judged, level, record

from kalshi_platform.models.networks.transfer import TransferReport
from kalshi_platform.workflows.progressive_record import (
    Transfer,
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
    tags = sound_page(page, tmp_path)
    assert "progressive.json" in tags.links
    assert '<span class="mark unmeasured">data unknown</span>' in page  # nobody counted what judged it


def test_a_run_on_simulated_data_is_marked_so():
    counts = {"simulated": {"events": 9, "blocks": 9}}
    page = render_progressive(record(level("simple", True)).replace(judged_on=counts), {})
    assert '<span class="mark unmeasured">simulated</span>' in page
    assert "9 events in 9 blocks simulated" in page


def test_curves_of_every_level_are_drawn():
    rows = [
        {"env_steps": 100 * k, "entropy": 1.0 / k, "validation": {"score": 0.01 * k, "sharpe": 0.1 * k}}
        for k in range(1, 5)
    ]
    page = render_progressive(record(level("simple", True)), {"simple": rows})
    assert page.count("<polyline") == 4  # score, Sharpe, and in the details score and entropy


def test_an_unknown_difference_is_a_dash():
    assert sharpe_interval(None) == sharpe_interval(interval(None)) == "-"
    assert sharpe_interval(interval(0.25)) == "+0.250"
