"""The plan: slopes times sizes, what breaks first, and honest words about where the slopes end."""

import re
from pathlib import Path

import pytest

from kalshi_platform.domain import slopes
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.replay import cache
from kalshi_platform.workflows.scale import (
    GB,
    GIB,
    MACHINES,
    ScaleMachine,
    paper_table,
    plan_json,
    plan_lines,
    scale_plan,
    slopes_table,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "scale.md"
SMALL = ScaleMachine("small", 2, 4 * GIB, 50 * GB)
LARGE = ScaleMachine("large", 64, 2_000 * GIB, 10**15)


def need(plan, words):
    """The one need of ``plan`` that begins so."""
    (found,) = [each for each in plan.needs if each.what.startswith(words)]
    return found


def test_the_disk_is_rows_times_the_slopes_worked_by_hand():
    plan = scale_plan(1, 10**9, SMALL)
    by_hand = (10**9 * (16.9 + slopes.DATASET_BYTES_A_ROW.value) + slopes.MANIFEST_BYTES_A_MARKET.value) / 1e9
    assert need(plan, "disk of the recordings").need == pytest.approx(by_hand)
    assert not need(plan, "disk of the recordings").fits
    assert plan.first.what == "disk of the recordings and the dataset"
    assert "breaks first: disk of the recordings" in plan.verdict()
    assert "bucket" in plan.verdict()


def test_in_a_bucket_the_disk_is_free_and_the_objects_take_time():
    plan = scale_plan(3_000, 10**7, SMALL, bucket=True)
    assert not any(each.what.startswith("disk of") for each in plan.needs)
    assert need(plan, "waiting for the bucket").need == pytest.approx(2 * 1_000 * 0.03 / 16)


def test_memory_does_not_depend_on_the_rows():
    few, many = (scale_plan(1_000, rows, LARGE) for rows in (10**9, 10**10))
    for words in ("memory of a build", "memory of one process that opens", "memory of one trainer"):
        assert need(few, words).need == need(many, words).need


def test_what_fits_is_told_how_far_it_may_grow():
    machine = ScaleMachine("m", 2, 18 * GIB, 60 * GB)
    plan = scale_plan(10_000, 20_000_000, machine)
    assert plan.fits
    what, told = re.search(r"next to break: (.*), at about ([0-9,.]+) times", plan.verdict()).groups()
    # The disk: 20 million rows take (16.9 + 138) B each, 10,000 markets 188 B, of 60 GB. Memory has a base
    # and grows slower: a trainer takes 2 of the 18 GiB, and does not break at nine times the size.
    by_hand = 60e9 / (20e6 * (16.9 + 138) + 10_000 * 188)
    assert what == "disk of the recordings and the dataset"
    assert float(told) == pytest.approx(by_hand, rel=0.01)
    for factor, fits in ((0.99, True), (1.01, False)):
        grown = scale_plan(round(10_000 * by_hand * factor), round(20e6 * by_hand * factor), machine)
        assert grown.fits is fits
        assert grown.first.what == what


def test_what_a_machine_lacks_at_every_size_breaks_first():
    plan = scale_plan(10**6, 2 * 10**9, ScaleMachine("m", 2, GIB, 60 * GB))
    assert plan.first.what == "memory of one trainer"  # 2 of 1 GiB at any size; the disk lacks more here
    assert "breaks first: memory of one trainer, 2.18 GiB of 1.00 GiB" in plan.verdict()


def test_a_lack_that_only_slows_stops_nothing_and_is_named():
    plan = scale_plan(30_000, 60_000_000, ScaleMachine("m", 8, 8 * GIB, 60 * GB))
    assert plan.fits
    assert not need(plan, "memory for the whole bank").fits
    assert "slow: cache for the whole bank, memory for the whole bank" in plan.verdict()


def test_the_text_says_that_it_is_extrapolated_and_from_which_sizes():
    text = "\n".join(plan_lines(scale_plan(300, 600_000, SMALL)))
    assert "Extrapolated along straight lines" in text
    assert slopes.DATASET_BYTES_A_ROW.sizes in text
    found = plan_json(scale_plan(300, 600_000, SMALL))
    assert {each["sizes"] for each in found["extrapolated_from"]} >= {slopes.DATASET_BYTES_A_ROW.sizes}
    assert found["fits"] is True


@pytest.mark.parametrize(
    "text", ["", "8,16", "8,16,x", "0,16,100", "c9.huge", "9" * 4400 + ",8,500", "8," + "9" * 330 + ",500"]
)
def test_a_machine_that_nobody_knows_is_refused_with_what_is_allowed(text, tmp_path):
    with pytest.raises(ContractError, match=r"--machine .* such as 8,16,500, or one of c7i\.2xlarge"):
        ScaleMachine.parse(text, tmp_path)


def test_machines_are_named_given_or_this_one(tmp_path):
    assert ScaleMachine.parse("8, 16,500", tmp_path)[1:4] == (8, 16 * GIB, 500 * GB)
    assert ScaleMachine.parse("c7i.2xlarge", tmp_path)[1:4] == MACHINES["c7i.2xlarge"]
    here = ScaleMachine.parse("this", tmp_path)
    assert here.cores >= 1
    assert here.disk_bytes > 0


def test_a_size_without_a_row_for_each_market_is_refused():
    with pytest.raises(ContractError, match="a row for each of them"):
        scale_plan(10, 9, SMALL)


def test_the_page_holds_the_tables_that_the_command_writes():
    begin, end = "<!-- begin: made by `kalshi-platform plan --paper` -->\n", "<!-- end -->"
    text = PAGE.read_text()
    held = text[text.index(begin) + len(begin) : text.index(end)]
    assert held == f"{paper_table()}\n{slopes_table()}", (
        "docs/scale.md is not what `kalshi-platform plan --paper` writes: put its output between the marks"
    )


def test_the_cache_is_planned_as_the_cache_limits_itself(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.delenv(cache.LIMIT_VARIABLE, raising=False)
    for disk, limit in ((50 * GB, 5 * GB), (500 * GB, 20 * GB), (8_000 * GB, 20 * GB)):
        usage = cache.shutil.disk_usage(tmp_path)._replace(total=disk)
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert need(scale_plan(3, 3, LARGE._replace(disk_bytes=disk)), "cache for").have * GB == limit
        assert cache.limit_bytes() == limit


def test_the_cache_of_this_machine_is_planned_with_the_limit_that_it_has(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    usage = cache.shutil.disk_usage(tmp_path)._replace(total=150 * GB, free=10 * GB)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)
    for limit, wanted in (
        (None, 15),
        ("3", 3),
    ):  # of the whole disk, as the cache takes it, not of what is free
        if limit is None:
            monkeypatch.delenv(cache.LIMIT_VARIABLE, raising=False)
        else:
            monkeypatch.setenv(cache.LIMIT_VARIABLE, limit)
        here = ScaleMachine.parse("this", tmp_path)
        assert here.disk_bytes == 10 * GB
        plan = scale_plan(3, 3, here)
        assert need(plan, "cache for").have == wanted
        assert plan_json(plan)["machine"]["cache_bytes"] == wanted * GB


def test_a_build_is_planned_with_as_many_processes_as_it_takes():
    pays = slopes.ROWS_THAT_PAY_A_WORKER
    plans = [scale_plan(300, rows, LARGE) for rows in (pays, 2 * pays, 10**9)]
    base = slopes.BUILD_BASE_BYTES.value / GIB
    one, two, many = (need(plan, "memory of a build").need for plan in plans)
    assert (two - one, many - one) == (pytest.approx(base), pytest.approx(63 * base))
    assert need(plans[0], "time to build").need == pytest.approx(
        need(plans[1], "time to build").need, rel=0.01
    )


@pytest.mark.parametrize(("markets", "rows"), [(3, 10**400), (10**400, 10**400)], ids=["rows", "both"])
def test_sizes_beyond_the_world_are_refused(markets, rows):
    with pytest.raises(ContractError, match="401 digits of rows: give at most 1,000,000,000,000,000"):
        scale_plan(markets, rows, SMALL)
