"""Metrics as Prometheus reads them: the table and nothing else, bounded labels."""

from made.session_snapshot import NOW_NS, SECOND_NS, calm_snapshot, made_market
from prometheus_client.parser import text_string_to_metric_families

from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_metrics import TRADE_METRICS, metrics_text
from kalshi_platform.trading.session.watching.session_watch import SessionWatch


def watch_of(snapshot=None) -> SessionWatch:
    watch = SessionWatch(EventLog(lambda: 0), Alarms(None, lambda: 0.0), lambda: 2, lambda: 0.0)
    watch.latest = snapshot
    return watch


def samples(watch: SessionWatch, state: str = "active", now_ns: int = NOW_NS) -> dict:
    log = EventLog(lambda: 0)
    log.say("halt", "x", level="warning")
    families = text_string_to_metric_families(metrics_text(watch, state, log, now_ns))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_of_the_table_is_exported_with_its_labels():
    text = metrics_text(watch_of(calm_snapshot()), "halted", _log(), NOW_NS)
    families = list(text_string_to_metric_families(text))
    shown = {s.name: set(s.labels) for family in families for s in family.samples}
    assert shown == {metric.name: set(metric.labels) for metric in TRADE_METRICS}


def _log() -> EventLog:
    log = EventLog(lambda: 0)
    log.say("start", "x")
    return log


def test_values_are_in_the_units_of_their_names():
    found = samples(watch_of(calm_snapshot()), "halted")
    assert found["kalshi_trade_state", "halted"] == 1
    assert found["kalshi_trade_state", "active"] == 0
    assert found[("kalshi_trade_equity_dollars",)] == 1_000.2425
    assert found[("kalshi_trade_frame_age_seconds",)] == 0.5
    assert found["kalshi_trade_latency_seconds", "decision", "0.99"] == 0.0025
    assert found["kalshi_trade_limit_used_ratio", "day_loss_usd"] == 0.24
    assert found["kalshi_trade_refusals_total", "spread_usd"] == 3
    assert found["kalshi_trade_position_contracts", "KXHIGHNY-26NOV30-T50"] == 10
    assert found["kalshi_trade_info", "simulated", "true", "tiny-2f9c"] == 1
    assert found["kalshi_trade_log_lines_total", "warning"] == 1


def test_before_the_first_snapshot_state_is_told_and_on_paper_no_limit_is():
    found = samples(watch_of())
    assert found["kalshi_trade_state", "active"] == 1
    assert ("kalshi_trade_equity_dollars",) not in found
    names = {name for name, *_ in samples(watch_of(calm_snapshot(risk=None)))}
    assert not names & {"kalshi_trade_limit_used_ratio"}


def test_a_name_with_quotes_stays_one_label():
    odd = made_market(ticker='A"\\\n', value_e6=None)
    found = samples(watch_of(calm_snapshot(markets=(odd,))))
    assert found["kalshi_trade_position_contracts", 'A"\\\n'] == 10
    assert not [key for key in found if key[0] == "kalshi_trade_position_value_dollars"]


def test_a_snapshot_that_is_made_no_more_keeps_the_feed_not_young():
    """The snapshot stays where it is; the clock of the scrape goes on."""
    found = samples(watch_of(calm_snapshot()), now_ns=NOW_NS + 90 * SECOND_NS)
    assert found[("kalshi_trade_frame_age_seconds",)] == 90.5
    silent = calm_snapshot(health={**calm_snapshot().health, "frame_ns": 0})
    assert samples(watch_of(silent))[("kalshi_trade_frame_age_seconds",)] == 65  # since the start
