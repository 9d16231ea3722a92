"""The report: self-contained, escaped, complete, atomic."""

import io
import json
import re

import pytest
from made.evaluation_bank import random_bank
from made.pages import sound_page
from made.registry_models import CHOICE
from rich.console import Console

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Subject
from kalshi_platform.evaluation.judging.report import (
    is_speed_untested,
    read_report,
    render_html,
    terminal_view,
    training_charts,
    verdict,
    worth_line,
    write_report,
)
from kalshi_platform.evaluation.judging.worth import worth
from kalshi_platform.evaluation.pages.contents import slug
from kalshi_platform.models.rules.baselines import BASELINES, HoldToSettlement
from kalshi_platform.simulation.envs.config import EnvConfig

LEDGERS = []
EVIL = '<script>alert("x")</script>'
METRICS = [
    {"env_steps": 100 * k, "entropy": 1.0 / (k + 1), "validation": {"score": 0.1 * k} if k > 1 else {}}
    for k in range(5)
]


@pytest.fixture(scope="module")
def judged():
    config = EvalConfig(bootstrap={"resamples": 200}, seeds=(0, 1), rollout={"grid_points": 20})
    env = EnvConfig(n_slots=1, latency_ms=0)
    return evaluate(
        lambda e: HoldToSettlement(e.layout, e.bank),
        random_bank(4, 2, 60),
        env,
        config,
        keep_ledger=LEDGERS.append,
        subject=Subject(checkpoint=EVIL, dataset="d", doubts={"books_ended:crossed": 1_234}),
    )


def test_the_page_is_well_formed_and_fetches_nothing(judged):
    page = render_html(judged, METRICS, [judged])
    tags = sound_page(page)
    assert not re.search(r"https?://", page)
    assert "Policy against baselines" in tags.headings
    assert {"Checkup", "Fee ladder", "Training", "Seeds", "Position and price"} <= set(tags.headings)
    assert {f"#{slug(heading)}" for heading in tags.headings} <= set(tags.links)  # the list of contents


def test_the_head_says_which_policy_on_which_data_made_when_by_whom(judged):
    page = render_html(judged.replace(subject=Subject(checkpoint="runs/a/seed-1", dataset_digest="d" * 12)))
    assert "<h1>a/seed-1 on 4 validation events</h1>" in page
    assert "<title>a/seed-1 on 4 validation events · Evaluation</title>" in page
    for told in ("d" * 12, judged.made.when, judged.made.program, "4 events in 4 blocks simulated"):
        assert told in page
    assert '<span class="mark unmeasured">simulated</span>' in page
    assert "unknown" in render_html(judged.replace(made=None))  # a report of an earlier version


def test_names_from_outside_are_escaped(judged):
    page = render_html(judged, METRICS, [judged])
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_every_market_and_baseline_is_in_the_page(judged):
    page = render_html(judged)
    for name in [*(m.ticker for m in judged.policy.markets), *(b.name for b in judged.baselines)]:
        assert name in page
    assert "Training" not in page  # no metrics, no section


def test_the_json_holds_the_same_evaluation(judged, tmp_path):
    html, path = write_report(judged, tmp_path / "new", METRICS)
    assert html.read_text().startswith("<!doctype html>")
    assert read_report(path) == judged
    assert json.loads(path.read_text())["policy"]["name"] == "policy"
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report.json"]


def test_the_ledger_lies_beside_the_page_that_links_it_and_says_how_many_rows(judged, tmp_path):
    ledger = LEDGERS[0]
    html, _ = write_report(judged, tmp_path, ledger=ledger)
    page = html.read_text()
    tags = sound_page(page, tmp_path)
    assert {"report.json", *ledger.files} <= set(tags.links)
    assert {"Trades", "Episodes to look at", "Markets"} <= set(tags.headings)
    assert f"{judged.ledger.n_rows:,} round trips of {ledger.trades.num_rows:,} trades" in page
    assert "ledger.csv" not in render_html(judged)
    assert "Episodes to look at" not in render_html(judged)


def test_a_listed_trade_links_the_plot_of_its_market(judged):
    page = render_html(judged, ledger=LEDGERS[0])
    tags = sound_page(page)
    plays = [link for link in tags.links if link.startswith("#play-")]
    assert plays
    for link in plays:
        assert f'id="{link[1:]}"' in page
    assert page.count('name="play"') == len(LEDGERS[0].plays)
    assert page.count('name="play" open') == 1  # one is open, and opening another closes it


def test_a_page_of_thousands_of_markets_lists_two_hundred(judged):
    one = judged.policy.markets[0]
    many = [one.replace(ticker=f"T-{k:04}", pnl_e6=k).model_dump() for k in range(3_000)]
    policy = judged.policy.model_dump() | {"markets": many}
    page = render_html(judged.replace(policy=policy))
    shown = re.findall(r"T-(\d{4})", page)
    assert [int(k) for k in shown] == [*range(100), *range(2_900, 3_000)]
    assert "of 3,000 markets" in page


def test_the_json_has_no_number_that_json_lacks(judged):
    def refuse(name):
        raise AssertionError(f"{name} in JSON")

    json.loads(judged.model_dump_json(), parse_constant=refuse)


def test_the_page_shows_drawdowns_the_map_of_events_and_the_replays(judged):
    page = render_html(judged)
    tags = sound_page(page)
    assert {"Deepest drawdowns", "Return by event and time to close", "What if"} <= set(tags.headings)
    for row in judged.what_if:
        assert row.setting in page
    assert "latency_ms = 1000" in page
    assert "a taker waits in none" in page
    without = judged.replace(what_if=(), event_map=None)
    assert "What if" not in render_html(without)


def test_a_simulated_edge_that_latency_does_not_touch_is_said_to_prove_nothing(judged):
    own = judged.policy.mean_return
    gain = own.replace(estimate=0.05)
    late = [r.replace(mean_return=gain) if r.setting == "latency_ms = 1000" else r for r in judged.what_if]
    policy = judged.policy.replace(mean_return=gain)
    sure = judged.replace(policy=policy.model_dump(), what_if=[r.model_dump() for r in late])
    assert is_speed_untested(sure)
    assert "says nothing about real ones" in render_html(sure)
    slow = [r.replace(mean_return=own.replace(estimate=0.01)) for r in late]
    assert not is_speed_untested(sure.replace(what_if=[r.model_dump() for r in slow]))
    assert not is_speed_untested(judged.replace(what_if=()))


def test_the_page_tells_what_stood_ahead_of_the_resting_orders_that_filled(judged):
    assert "stood ahead" not in render_html(judged)  # a taker
    told = {"n_queued": 4, "ahead_e2": 100_000, "passed_ahead_e2": 30_000}
    trading = judged.policy.trading.replace(**told)
    maker = judged.replace(policy=judged.policy.replace(trading=trading.model_dump()).model_dump())
    page = render_html(maker)
    assert "(4 whose queue was known): on average 250.00 contracts stood ahead" in page
    assert "and 75.00 of them traded before its first fill" in page


def test_a_folder_that_cannot_be_written_is_named(judged, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/report\.html could not be written"):
        write_report(judged, tmp_path / "file")


def test_the_terminal_shows_every_row_and_finding(judged):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal_view(judged))
    text = console.export_text()
    console.file.close()
    for name in ["policy", *(b.name for b in judged.baselines), *(f.rule for f in judged.findings)]:
        assert name in text
    assert verdict(judged) in text
    assert judged.coverage.words in text
    counts = judged.policy.judged_on
    assert list(counts) == ["simulated"]
    data = f"judged on {counts['simulated'].events} events in {counts['simulated'].blocks} blocks simulated"
    assert data in text
    assert data in render_html(judged)
    assert "books_ended:crossed 1,234" in text
    assert "books_ended:crossed 1,234" in render_html(judged)
    assert "at the fees of the time: " in text
    assert "at today's fees: " in text
    n_markets = judged.policy.aggregate.n_markets
    assert text.count(f"fees of markets: {n_markets} told without a time") == 2


def test_the_page_says_which_fees_were_known_and_what_today_would_cost(judged):
    page = render_html(judged)
    assert "Fees of the time and of today" in page
    assert "Fees of the time and of today" not in render_html(judged.replace(fee_times=()))


def test_the_verdict_names_what_is_not_beaten(judged):
    def with_beats(*beats):
        changed = [c.replace(beats=b) for c, b in zip(judged.comparisons, beats, strict=True)]
        return judged.replace(comparisons=[c.model_dump() for c in changed])

    nobody_chose = verdict(with_beats(True, True, True, True))
    assert "all 4" not in nobody_chose
    assert "No rule was chosen on training events" in nobody_chose
    ruled = with_beats(True, True, True, True).replace(rules=CHOICE.model_dump())
    assert verdict(ruled).startswith("Beats all 4")
    assert verdict(with_beats(False, False, False, False)).startswith("Beats none of the 4")
    assert "not shown to beat random" in verdict(with_beats(True, False, True, True))


def test_a_baseline_that_surely_earns_more_is_named_as_such(judged):
    below = {"estimate": -0.015, "low": -0.035, "high": -0.001}
    first, *rest = judged.comparisons
    lost = first.replace(beats=False, difference=first.difference.replace(**below).model_dump())
    words = verdict(judged.replace(comparisons=[c.model_dump() for c in (lost, *rest)]))
    assert f"earns less than {first.baseline}" in words
    assert f"not shown to beat {first.baseline}" not in words


def test_equal_returns_are_a_tie_and_the_random_rule_of_an_idle_policy_is_explained(judged):
    zero = {"estimate": 0.0, "low": 0.0, "high": 0.0}
    names = [c.baseline for c in judged.comparisons]

    def tied(n):
        flat = [c.difference.replace(**zero) for c in judged.comparisons[:n]]
        changed = [
            c.replace(beats=False, difference=d) for c, d in zip(judged.comparisons, flat, strict=False)
        ]
        rest = [c.replace(beats=True) for c in judged.comparisons[n:]]
        return judged.replace(comparisons=[c.model_dump() for c in (*changed, *rest)])

    everyone = verdict(tied(len(names)))
    none = f"Beats none of the {len(names)} baselines with an interval above zero"
    assert everyone.startswith(f"{none}; ties with {', '.join(names)}.")
    some = verdict(tied(1))
    assert some.startswith(f"Beats {', '.join(names[1:])}; ties with {names[0]}.")
    assert "never trades" not in everyone
    idle = judged.policy.replace(trading=judged.policy.trading.replace(trade_rate=0.0))
    told = verdict(tied(len(names)).replace(policy=idle.model_dump()))
    assert told.endswith("random trades as often as the policy, so its 0 says nothing.")


def test_a_finding_about_the_policy_is_not_called_an_error_of_the_command(judged):
    found = Finding(
        severity="error", rule="policy_collapse", message="the policy never trades", evidence={}, remedy=""
    )
    console = Console(width=200, file=io.StringIO())
    console.print(terminal_view(judged.replace(findings=[found.model_dump()])))
    assert "serious finding: the policy never trades (policy_collapse)" in console.file.getvalue()
    assert "error" not in console.file.getvalue()


def test_the_first_line_of_page_terminal_and_json_says_what_the_result_is_worth(judged, tmp_path):
    assert judged.worth == worth(judged.figures)
    page = render_html(judged)
    assert page.index("says nothing about a market") < page.index("Policy against baselines")
    console = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal_view(judged))
    first = console.export_text().splitlines()[0]
    console.file.close()
    assert first.startswith("Simulated: ")
    assert "4 independent blocks" in first
    _, path = write_report(judged, tmp_path)
    assert json.loads(path.read_text())["worth"] == judged.worth
    assert worth_line(judged.replace(worth="")) == judged.worth  # a report of an earlier version


def test_every_baseline_and_the_policy_have_a_colour_of_their_own(judged):
    page = render_html(judged)
    for slot in range(len(BASELINES) + 1):
        assert page.count(f"--s{slot}:") == 2  # light and dark
        assert f".line.s{slot} " in page


def test_the_page_shows_how_the_rules_were_chosen(judged):
    assert "No rule was chosen on training events" in render_html(judged)
    page = render_html(judged.replace(rules=CHOICE.model_dump()))
    assert "imbalance &gt; 0.5" in page
    assert "40 of 200 training blocks" in page


def test_training_curves_skip_what_a_line_lacks():
    got = training_charts(METRICS)
    assert [title for title, _ in got] == ["validation return", "entropy of the policy"]
    # three of five lines carry a score
    assert len(re.search(r'points="([^"]*)"', str(got[0][1])).group(1).split()) == 3
    assert training_charts([]) == []


def test_money_of_several_seeds_stands_beside_that_of_one_as_of_one(judged):
    random = next(b for b in judged.baselines if b.name == "random")
    assert (judged.policy.n_seeds, random.n_seeds) == (1, 2)
    console = Console(width=300)
    with console.capture() as text:
        console.print(terminal_view(judged))
    (row,) = (line for line in text.get().splitlines() if line.startswith("│ random"))
    cells = [cell.strip() for cell in row.split("│")]
    assert cells[4] == f"{random.trading.pnl_e6 / 2e6:,.2f} $"
    assert cells[-2] == f"{random.trading.n_fills / 2:,.0f}"
    assert f"<td>{random.trading.pnl_e6 / 2e6:,.2f} $</td>" in render_html(judged)
