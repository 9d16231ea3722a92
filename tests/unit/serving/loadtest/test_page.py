"""serving/loadtest/page.py and cli/loadtest.py: what the page, the terminal and the command say."""

import io
import json
import re
from pathlib import Path

import numpy as np
from rich.console import Console
from typer.testing import CliRunner

from kalshi_platform.cli import loadtest as command
from kalshi_platform.cli.main import app
from kalshi_platform.serving.loadtest.page import load_view, render_load, verdict, write_load_report
from kalshi_platform.serving.loadtest.result import ANSWERED, LoadConfig, LoadResult, Timings, summarise

MS = 1_000_000
CONFIG = LoadConfig(
    url="http://127.0.0.1:8000", rate_per_s=100, duration_s=2, warm_up_s=0, arrivals="constant"
)


def measured(n=200, lag_ms=0.0, failed=0) -> LoadResult:
    """``n`` requests 10 ms apart, of 1, 2, ... ms; the first ``failed`` of them timed out."""
    due = np.arange(n, dtype=np.int64) * 10 * MS
    took = (np.arange(n, dtype=np.int64) + 1) * MS
    ends = ["timeout" if k < failed else ANSWERED for k in range(n)]
    tiers = ["" if k < failed else ("mlp" if k % 4 else "full") for k in range(n)]
    notes = [("deadline",) if tier == "full" else () for tier in tiers]
    timings = Timings(due, due + round(lag_ms * MS), due + took, ends, tiers, notes, [{"total": 0.5}] * n)
    return summarise(CONFIG, 0, timings)


def text_of(result: LoadResult) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(load_view(result))
    return console.export_text()


def test_the_page_is_whole_and_fetches_nothing():
    page = render_load(measured(failed=2))
    assert "<svg" in page
    assert not re.search(r"""(src|href)\s*=\s*["']|@import|url\(""", page)
    for word in ("p99.9", "deadline", "timeout", "decided by mlp", "server: total", "CONFIG.digest"):
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
        "At 100 a second, 24.00% of 200 were answered within 50 ms (p50 101 ms, p99 199 ms); 2 failed."
    )
    assert verdict(measured(n=20)).endswith("none failed.")
    assert "2 x timeout" in text_of(measured(failed=2))


def test_a_generator_that_was_late_is_not_believed_anywhere():
    late = measured(lag_ms=3)
    assert verdict(late).startswith("Not to be believed: 100.0% of the requests left more than 1 ms late")
    assert "Not to be believed" in render_load(late)
    assert "Not to be believed" in text_of(late)


def test_a_test_without_an_answer_still_makes_a_page():
    nothing = measured(n=3, failed=3)
    assert "no request was answered" in render_load(nothing)
    assert "no request was answered" in text_of(nothing)


def test_the_report_is_two_files_and_the_json_is_the_result(tmp_path):
    result = measured()
    html, file = write_load_report(result, tmp_path / "out")
    assert html.read_text().startswith("<!doctype html>")
    assert LoadResult.model_validate_json(file.read_text()) == result


def test_the_command_asks_for_what_it_was_told_and_prints_one_json_object(monkeypatch, tmp_path):
    asked = []

    def answer(config):
        asked.append(config)
        return measured()

    monkeypatch.setattr(command, "run_load", answer)
    words = ["loadtest", "--url", "http://127.0.0.1:9", "--rate", "20", "--duration-s", "5", "--json"]
    done = CliRunner().invoke(app, [*words, "--token-file", "t", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(measured().model_dump_json())
    assert (asked[0].rate_per_s, asked[0].duration_s, asked[0].token_file) == (20, 5, Path("t"))
    assert (tmp_path / "loadtest.html").exists()


def test_the_command_fails_where_the_figures_are_not_to_be_believed(monkeypatch):
    monkeypatch.setattr(command, "run_load", lambda config: measured(lag_ms=3))
    done = CliRunner().invoke(app, ["loadtest"])
    assert done.exit_code == 4
    assert "too slow" in done.stderr


def test_the_command_refuses_a_bad_url_with_the_field():
    done = CliRunner().invoke(app, ["loadtest", "--url", "127.0.0.1:8000"])
    assert done.exit_code == 2
    assert "LoadConfig.url" in done.stderr
