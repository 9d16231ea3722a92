"""The report of an evaluation: one HTML file that opens anywhere, the same figures as JSON, a terminal table.

Owns   report.html, report.json (written atomically) and the view for the terminal.
Not    any figure: all of them lie in the Evaluation.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.judging.evaluation import Evaluation
from kalshi_platform.evaluation.judging.fee_times import DatedFees
from kalshi_platform.evaluation.judging.ledger_page import FILTERS, ledger_values, moment
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables, write_ledger
from kalshi_platform.evaluation.judging.needed import needed_words
from kalshi_platform.evaluation.judging.rivals import choice_words
from kalshi_platform.evaluation.judging.summary import PolicyResult, price_labels
from kalshi_platform.evaluation.judging.targets import found_text, passed_text
from kalshi_platform.evaluation.judging.watch import N_POSITION_BINS
from kalshi_platform.evaluation.judging.what_if import late_row
from kalshi_platform.evaluation.judging.worth import worth
from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import nothing
from kalshi_platform.evaluation.pages.formats import (
    blocks_text,
    dollars,
    interval_text,
    percent,
    plain,
    severity,
    utc,
    whole,
)
from kalshi_platform.evaluation.pages.head import PageHead, of_path
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.evaluation.pages.return_map import return_map
from kalshi_platform.evaluation.pages.terminal import show
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.models.registry.provenance import counts_words

#: Up to ten minutes the time axis shows seconds.
_SHORT_NS: Final = 600 * NS_PER_SECOND
HTML_NAME: Final = "report.html"
JSON_NAME: Final = "report.json"
#: Training curves shown, in this order, where the run recorded them: (path in a metrics line, title, unit,
#: how a value is written).
CURVES: Final = (
    ("validation.score", "validation return", "% of capital", percent),
    ("episode_return", "reward of an episode (scaled)", "reward", plain),
    ("entropy", "entropy of the policy", "nats", plain),
    ("kl", "change of the policy in an iteration", "KL divergence, nats", plain),
    ("policy_loss", "policy loss", "loss", plain),
    ("vf_loss", "value loss", "loss", plain),
    ("vf_explained_var", "variance explained by the critic", "1 = all", plain),
    ("steps_per_s", "environment steps a second", "steps", whole),
)
_SEVERITY_STYLE: Final = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def write_report(
    evaluation: Evaluation,
    out: Path,
    training_metrics: Sequence[Mapping[str, object]] = (),
    siblings: Sequence[Evaluation] = (),
    ledger: LedgerTables | None = None,
) -> tuple[Path, Path]:
    """Write report.html and report.json into ``out``; returns their paths.

    ``training_metrics`` are the rows of metrics.jsonl; ``siblings`` are evaluations of the same question for
    other training seeds, shown in one table. ``ledger`` is written beside the page first, which links its
    files and shows parts of it.
    StorageError where the folder cannot be written.
    """
    if ledger is not None:
        write_ledger(ledger, Path(out))
    page = render_html(evaluation, training_metrics, siblings, ledger=ledger)
    return write_html_and_json(Path(out) / HTML_NAME, page, evaluation)


def read_report(path: Path) -> Evaluation:
    """Evaluation in the report.json at ``path``."""
    return Evaluation.parse(json_value(Path(path).read_text()))


def render_html(
    evaluation: Evaluation,
    training_metrics: Sequence[Mapping[str, object]] = (),
    siblings: Sequence[Evaluation] = (),
    *,
    ledger: LedgerTables | None = None,
) -> str:
    """Text of the whole page; opening it fetches nothing.

    ``ledger``: its files lie beside the page.
    """
    everyone = (evaluation.policy, *evaluation.baselines)
    return render(
        "kalshi_platform.evaluation.judging",
        "report.html.j2",
        page_head(evaluation),
        {"found": found_text, "of_path": of_path, **FILTERS},
        e=evaluation,
        everyone=everyone,
        differences={c.baseline: c for c in evaluation.comparisons},
        charts=_charts(evaluation, everyone),
        training=training_charts(training_metrics),
        siblings=siblings,
        seed_heads=["baseline", *(of_path(s.subject.checkpoint) or "policy" for s in siblings)],
        **ledger_values(evaluation, ledger),
        simulated_speed=is_speed_untested(evaluation),
        verdict=verdict(evaluation),
        worth=worth_line(evaluation),
        split=split_words(evaluation.config.split),
        chosen=choice_words(evaluation.rules) if evaluation.rules else "",
    )


def page_head(evaluation: Evaluation) -> PageHead:
    """Head of the page: which policy, on which events, judged by whom and when."""
    subject, n_events = evaluation.subject, evaluation.policy.n_events
    policy = of_path(subject.checkpoint) or evaluation.policy.name
    split = "" if evaluation.config.split == "all" else f" {evaluation.config.split}"
    return PageHead(
        kind="Evaluation",
        name=f"{policy} on {n_events:,}{split} event{'' if n_events == 1 else 's'}",
        data=counts_words(evaluation.policy.judged_on),
        facts={
            "policy": subject.checkpoint,
            "level": subject.level,
            "dataset": subject.dataset,
            "dataset digest": subject.dataset_digest,
        },
        made=evaluation.made,
    )


def split_words(split: str) -> str:
    """Words for the part of the dataset that was judged."""
    return "all events" if split == "all" else f"{split} split"


def verdict(evaluation: Evaluation) -> str:
    """One sentence that says what the table shows."""
    total = len(evaluation.comparisons)
    if not total:
        return "No baseline was played, so nothing can be said."
    none_chosen = evaluation.rules is None or evaluation.rules.best is None
    unmet = " No rule was chosen on training events, so it met none with a threshold." if none_chosen else ""
    beaten = [c.baseline for c in evaluation.comparisons if c.beats]
    ties = [c.baseline for c in evaluation.comparisons if not c.beats and _is_tie(c.difference)]
    worse = [c.baseline for c in evaluation.comparisons if not c.beats and _is_worse(c.difference)]
    missed = [c.baseline for c in evaluation.comparisons if not (c.beats or c.baseline in (*ties, *worse))]
    tied = f"; ties with {', '.join(ties)}" if ties else ""
    tied += f"; earns less than {', '.join(worse)}" if worse else ""
    if "random" in ties and not evaluation.policy.trading.trade_rate:
        unmet += " The policy never trades; random trades as often as the policy, so its 0 says nothing."
    if not (missed or ties or worse):
        if none_chosen:
            return f"Beats {', '.join(beaten)}.{unmet}"
        return f"Beats all {total} baselines: every interval of the paired difference lies above zero."
    if not beaten:
        return f"Beats none of the {total} baselines with an interval above zero{tied}.{unmet}"
    rest = f"; not shown to beat {', '.join(missed)}" if missed else ""
    return f"Beats {', '.join(beaten)}{tied}{rest}.{unmet}"


def _is_tie(difference: Interval) -> bool:
    """True where the paired difference is 0 on every block."""
    return difference.estimate == difference.low == difference.high == 0


def _is_worse(difference: Interval) -> bool:
    """True where the whole interval of the paired difference lies below 0."""
    return difference.high is not None and difference.high < 0


def worth_line(evaluation: Evaluation) -> str:
    """First line of every view: what the result is worth; computed anew for a report that lacks it."""
    return evaluation.worth or worth(evaluation.figures)


def _charts(evaluation: Evaluation, everyone: Sequence[PolicyResult]) -> dict[str, Markup]:
    policy = evaluation.policy
    start, stop = policy.curve_ns[0], policy.curve_ns[-1]
    clock = utc if stop - start > _SHORT_NS else moment
    ticks = [(t, clock(int(t))) for t in (start, (start + stop) // 2, stop)]
    returns = sorted(((e.event, e.mean_return) for e in policy.events), key=lambda pair: pair[1])
    half = N_POSITION_BINS // 2
    positions = [_position_label(k - half, half) for k in range(N_POSITION_BINS)]
    differences = [(f"policy - {c.baseline}", c.difference) for c in evaluation.comparisons]
    return {
        "equity": charts.line_chart(
            [Series(p.name, p.curve_ns, p.curve_return, slot) for slot, p in enumerate(everyone)],
            "equity over time",
            ticks,
            x_axis="time, UTC",
            y_axis="profit since the start, % of capital",
            x_format=lambda t: f"{clock(int(t))} UTC",
        ),
        "differences": charts.forest_plot(
            differences, "policy against each baseline", "difference of mean return a block, % of capital"
        ),
        "events": charts.bar_chart(returns, "mean return by event", y_axis="mean return, % of capital"),
        "heat": charts.heat_map(
            policy.heat,
            positions,
            price_labels(),
            "position by price",
            x_axis="price of YES, cents",
            y_axis="position, % of the limit",
        ),
        "event_map": _event_map(evaluation),
        "ladder": charts.forest_plot(
            [
                (f"{'no' if r.label == 'none' else r.label} fees", r.mean_return)
                for r in evaluation.fee_ladder
            ],
            "fee ladder",
            "mean return a block, % of capital",
        ),
        "provenance": charts.forest_plot(
            [(s.label, s.estimate) for s in policy.by_provenance],
            "mean return by provenance",
            "mean return a block, % of capital",
        ),
    }


def _event_map(evaluation: Evaluation) -> Markup:
    found = evaluation.event_map
    if found is None:
        return nothing()
    rows = [*found.rows, *([found.rest] if found.rest else [])]
    return return_map(
        [row.returns for row in rows],
        [row.event for row in rows],
        found.columns,
        "return by event and time to close",
        "time to close at entry",
        name_columns=True,
    )


def is_speed_untested(evaluation: Evaluation) -> bool:
    """True where only simulated markets were played and a second of latency costs next to nothing."""
    late = late_row(evaluation.what_if)
    own = evaluation.policy.mean_return.estimate
    simulated = {s.label for s in evaluation.policy.by_provenance} == {"simulated"}
    if late is None or own is None or late.mean_return.estimate is None:
        return False
    return simulated and own > 0 and late.mean_return.estimate >= 0.8 * own


def _position_label(step: int, half: int) -> str:
    if step == 0:
        return "flat"
    side, low, high = "YES" if step > 0 else "NO", (abs(step) - 1) * 100 // half, abs(step) * 100 // half
    return f"{side} {low}-{high} %"


def training_charts(rows: Sequence[Mapping[str, object]]) -> list[tuple[str, Markup]]:
    """(title, chart) of every known curve in the run's metrics, over environment steps."""
    out = []
    for path, title, unit, written in CURVES:
        points = [
            (float(x), y)
            for row in rows
            if isinstance(x := row.get("env_steps"), int | float) and (y := _number(row, path)) is not None
        ]
        if len(points) < 2:
            continue
        xs, ys = zip(*points, strict=True)
        ticks = [(xs[0], f"{xs[0]:,.0f}"), (xs[-1], f"{xs[-1]:,.0f}")]
        line = Series(title, xs, ys)
        chart = charts.line_chart(
            [line], title, ticks, written, charts.SMALL, x_axis="environment steps", y_axis=unit,
            with_zero=False, x_format=lambda x: f"{x:,.0f} steps",
        )  # fmt: skip
        out.append((title, chart))
    return out


def _number(row: Mapping[str, object], path: str) -> float | None:
    value: object = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def print_view(evaluation: Evaluation, html: Path) -> None:
    """Print the table, the verdict and the path of the report."""
    show(terminal_view(evaluation), html)


def terminal_view(evaluation: Evaluation) -> RenderableType:
    """Headline table, verdict and findings for a terminal."""
    differences = {c.baseline: c for c in evaluation.comparisons}
    counted = blocks_text(evaluation.policy.n_blocks, evaluation.policy.n_events)
    table = Table(title=f"{split_words(evaluation.config.split)} · {counted}")
    for name in (
        "",
        f"mean return, % of capital [{evaluation.config.bootstrap.confidence:.0%} by block]",
        "policy - baseline",
    ):
        table.add_column(name)
    for name in ("profit a seed", "fees a seed", "max drawdown", "markets > 0", "fills a seed"):
        table.add_column(name, justify="right")
    for result in (evaluation.policy, *evaluation.baselines):
        gap = differences.get(result.name)
        style = "" if gap is None else ("green" if gap.beats else "yellow")
        table.add_row(
            Text(result.name),
            Text(interval_text(result.mean_return)),
            Text("" if gap is None else interval_text(gap.difference), style=style),
            dollars(result.trading.pnl_e6 / result.n_seeds),
            dollars(result.trading.fees_e6 / result.n_seeds),
            percent(result.max_drawdown),
            f"{result.aggregate.share_profitable:.0%}",
            f"{result.trading.n_fills / result.n_seeds:,.0f}",
        )
    lines: Iterable[Text] = (
        Text(f"{severity(f.severity)}: {f.message} ({f.rule})", style=_SEVERITY_STYLE[f.severity])
        for f in evaluation.findings
    )
    subject = evaluation.subject
    data = evaluation.policy.data_words
    facts = [
        data,
        evaluation.coverage.words if evaluation.coverage else "",
        subject.doubts_words,
        subject.recorded,
        subject.lineage,
    ]
    said = (Text(fact) for fact in facts if fact)
    fees = (Text(_fees_line(dated)) for dated in evaluation.fee_times)
    first = Text(worth_line(evaluation), style="bold")
    power = (Text(needed_words(row)) for row in evaluation.needed)
    last = Text(verdict(evaluation), style="bold")
    return Group(first, table, *_targets_view(evaluation), *said, *power, last, *fees, *lines)


def _targets_view(evaluation: Evaluation) -> Iterable[RenderableType]:
    """Table of the brief's targets; nothing for a report of an earlier version."""
    if not evaluation.targets:
        return
    counted = blocks_text(evaluation.policy.n_blocks, evaluation.policy.n_events)
    table = Table(title=f"the brief's targets · {counted}")
    for name in ("", "target", "found", "passed"):
        table.add_column(name)
    for target in evaluation.targets:
        style = {True: "green", False: "red", None: "yellow"}[target.passed]
        table.add_row(target.name, target.target, found_text(target), Text(passed_text(target), style=style))
    yield table


def _fees_line(dated: DatedFees) -> str:
    """One line on the result under one setting of ``fees`` and on how well those fees are known."""
    words = {"known": "known", "assumed_since_open": "told without a time", "assumed": "assumed"}
    sources = ", ".join(f"{n:,} {words[source]}" for source, n in dated.sources.items())
    when = "today's fees" if dated.fees == "today" else "the fees of the time"
    return f"at {when}: {interval_text(dated.mean_return)}; fees of markets: {sources}"
