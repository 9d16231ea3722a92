"""serving/loadtest/page.py and cli/loadtest.py: what the page, the terminal and the command say."""

import io

from made.load_results import CONFIG, measured
from made.pages import sound_page
from rich.console import Console

from kalshi_platform.serving.loadtest.page import load_view, render_load, verdict, write_load_report
from kalshi_platform.serving.loadtest.result import LoadResult


def text_of(result: LoadResult) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(load_view(result))
    return console.export_text()


def test_the_page_is_whole_and_fetches_nothing():
    page = render_load(measured(failed=2))
    assert "<svg" in page
    sound_page(page)
    for word in ("p99.9", "deadline", "timeout", "decided by tier 1 (MLP)", "server: total", "CONFIG.digest"):
        assert (word in page) == (word != "CONFIG.digest"), word
    assert CONFIG.digest in page


def test_what_a_server_calls_its_tiers_cannot_write_into_the_page():
    result = measured()
    tiers = tuple(t.replace(tier="<script>alert(1)</script>") for t in result.tiers)
    page = render_load(result.replace(tiers=[t.model_dump() for t in tiers]))
    assert "<script>" not in page


def test_the_verdict_counts_failures_against_the_target():
    # Requests of 1..200 ms, the first two failed: 3..50 ms are 48 of 200. Of the 198 of 3..200 ms the 99th
    # is 101 and the 197th (0.99 x 198 = 196.02) is 199.
    assert verdict(measured(failed=2)) == (
        "At 100 a second, 24.00% of 200 were answered within 50 ms; p50 101 ms [87.0 ms, 116 ms], p99 199 ms "
        "(too few answers for an interval), n = 198; 2 failed."
    )
    assert verdict(measured(n=20)).endswith("none failed.")
    assert "2 x timeout" in text_of(measured(failed=2))


def test_a_generator_that_was_late_is_not_believed_anywhere():
    late = measured(lag_ms=3)
    assert verdict(late).startswith("Not to be believed: 200 of 200 requests (100.0%, 95 %")
    assert "Not to be believed" in render_load(late)
    assert "Not to be believed" in text_of(late)


def test_page_and_terminal_say_what_was_sent_what_is_left_open_and_who_answered():
    rows = {"kind": "synthetic", "words": "synthetic rows: the example, varied"}
    model = {"model": "m", "simulated": True, "cautions": ["simulated: judged on simulated data only"]}
    found = measured().replace(rows=rows, model=model)
    for text in (render_load(found), " ".join(text_of(found).split())):
        assert "synthetic rows: the example, varied" in text
        assert "says nothing about real traffic" in text
        assert "simulated: judged on simulated data only" in text
        assert "oo few requests to judge p99: 200 of 368 needed" in text
    assert "Synthetic rows: these shares say nothing" in render_load(found)
    real = found.replace(rows={"kind": "dataset", "words": "9 groups of d"})
    assert "nothing about real traffic" not in render_load(real)
    assert "Shares of the answers to: 9 groups of d" in render_load(real)


def test_a_test_without_an_answer_still_makes_a_page():
    nothing = measured(n=3, failed=3)
    assert "no request was answered" in render_load(nothing)
    assert "no request was answered" in text_of(nothing)


def test_the_result_of_an_older_release_is_read_with_the_names_of_today():
    older = measured().model_dump(mode="json")
    assert {t["tier"] for t in older["tiers"]} == {"tier_1", "tier_3"}
    for tier in older["tiers"]:
        tier["tier"] = {"tier_1": "mlp", "tier_3": "full"}[tier["tier"]]
    assert LoadResult.parse(older) == measured()
    assert "decided by: tier 1 (MLP) 75" in text_of(LoadResult.parse(older))


def test_the_report_is_two_files_and_the_json_is_the_result(tmp_path):
    result = measured()
    html, file = write_load_report(result, tmp_path / "out")
    assert html.read_text().startswith("<!doctype html>")
    assert LoadResult.model_validate_json(file.read_text()) == result
