"""The page of a tier set."""

from types import SimpleNamespace

from made.pages import sound_page
from made.tiers_place import invoke

from kalshi_platform.serving.distillation.page import HTML_NAME, JSON_NAME, exit_words, read_page
from kalshi_platform.serving.distillation.report import stored_report


def test_the_pages_show_every_figure_and_fetch_nothing(place, tmp_path):
    folder, registry, tier_set, _ = place
    done = invoke(place, "report", "champion", "--dataset", str(folder / "data"), "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    report = read_page(tmp_path / JSON_NAME)
    html = (tmp_path / HTML_NAME).read_text()
    assert report.choice == stored_report(registry, tier_set).choice
    sound_page(html, tmp_path)
    assert html.count("<svg") >= 8
    assert report.caution.startswith("simulated: judged on ")
    for words in (
        report.caution,
        report.choice.pair.first and f"{report.choice.pair.first:.4f}",
        "Reliability",
        report.model,
    ):
        assert not words or words in html
    assert "tier 1 (MLP)" in done.stdout
    assert "simulated: judged on " in done.stdout
    assert report.choice.reason[:30] in done.stdout


def test_the_words_under_exits_tell_the_cascade_from_the_tier_alone():
    asked = SimpleNamespace(exit_threshold=0.5, exit_share=0.02, number=2)
    assert exit_words(asked) == (
        "in the cascade it exits at 0.5000, and 2.0 % of all groups leave here, "
        "after those that left before it"
    )
    assert exit_words(SimpleNamespace(exit_threshold=None)) == "in the cascade no group leaves here"
