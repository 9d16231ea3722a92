"""docker/: board, alerts and docs of trading sessions ask for metrics and labels that a session exports."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from made.prometheus import DOCKER, program
from made.scripts import ROOT

from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.pages.page_server import HOST
from kalshi_platform.trading.session.latencies import STAGES
from kalshi_platform.trading.session.watching.session_metrics import TRADE_METRICS
from kalshi_platform.trading.session.watching.showing import SCRAPE_FILE
from kalshi_platform.trading.session.watching.viewing import SESSION_PLACE

BOARD = json.loads((DOCKER / "grafana/dashboards/trading.json").read_text())
RULES = yaml.safe_load((DOCKER / "trade-alerts.yml").read_text())["groups"][0]["rules"]
RULE_TESTS = Path(__file__).with_name("trade_alerts_test.yml")
DOCS = (ROOT / "docs" / "live.md").read_text()
TABLE = {metric.name: metric for metric in TRADE_METRICS}
#: Values of labels that queries may ask for.
VALUES = {"state": {mode.value for mode in RiskMode}, "stage": set(STAGES), "quantile": {"0.5", "0.99"}}
QUERIES = [
    *(
        pytest.param(target["expr"], id=panel["title"])
        for panel in BOARD["panels"]
        for target in panel["targets"]
    ),
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in RULES),
]


def problems_of(expression: str) -> list[str]:
    """Names nobody exports, labels and values they never have."""
    found = ["parentheses"] if expression.count("(") != expression.count(")") else []
    for name, selector in re.findall(r"\b(kalshi_trade_\w+)(\{[^}]*\})?", expression):
        metric = TABLE.get(name)
        if metric is None:
            found.append(f"{name}: not exported")
            continue
        is_counted = re.search(rf"(rate|increase)\({name}", expression) is not None
        if is_counted and metric.kind != "counter":
            found.append(f"{name}: no counter")
        for label, value in re.findall(r'(\w+)="([^"]*)"', selector):
            if label not in metric.labels:
                found.append(f"{name}: no label {label}")
            elif label in VALUES and value not in VALUES[label]:
                found.append(f"{name}: {label} is never {value}")
    return found


@pytest.mark.parametrize("expression", QUERIES)
def test_a_query_asks_for_what_a_session_exports(expression):
    assert problems_of(expression) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("kalshi_trade_equity_cents", "not exported"),
        ('kalshi_trade_state{mode="halted"}', "no label mode"),
        ('kalshi_trade_state{state="stopped"}', "state is never stopped"),
        ("rate(kalshi_trade_equity_dollars[5m])", "no counter"),
        ("sum(kalshi_trade_alarms", "parentheses"),
    ],
)
def test_a_typo_in_a_query_is_found(expression, said):
    assert said in "\n".join(problems_of(expression))


def test_every_metric_is_in_the_docs_and_on_the_board():
    shown = {
        name
        for panel in BOARD["panels"]
        for t in panel["targets"]
        for name in re.findall(r"\bkalshi_trade_\w+", t["expr"])
    }
    rows = dict(re.findall(r"^\| `(kalshi_trade_\w+)` \| ([\w, ]*)\|", DOCS, re.MULTILINE))
    assert shown == set(TABLE) == set(rows)
    for name, labels in rows.items():
        assert tuple(label for label in labels.strip().split(", ") if label) == TABLE[name].labels, name


def test_every_alert_says_how_bad_it_is_and_the_docs_say_what_to_do():
    rows = dict(re.findall(r"^\| <a id=\"(\w+)\"></a>`(\w+)` \|", DOCS, re.MULTILINE))
    assert rows == {rule["alert"].lower(): rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook_url"] == f"docs/live.md#{rule['alert'].lower()}"


def test_every_rule_fires_where_it_should_and_is_quiet_beside():
    tool = program("promtool")
    subprocess.run([tool, "check", "rules", DOCKER / "trade-alerts.yml"], check=True)
    done = subprocess.run([tool, "test", "rules", RULE_TESTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_that_fires_and_one_that_does_not():
    cases = [
        case for test in yaml.safe_load(RULE_TESTS.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_no_panel_lies_on_another():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert {t["datasource"]["uid"] for p in BOARD["panels"] for t in p["targets"]} == {"prometheus"}
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_scraper_of_the_page_shows_the_token_file_of_a_session_to_a_port_on_loopback():
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    (job,) = yaml.safe_load(block)["scrape_configs"]
    assert Path(job["authorization"]["credentials_file"]).parts[-2:] == (SESSION_PLACE, SCRAPE_FILE)
    ((target,),) = (static["targets"] for static in job["static_configs"])
    host, _, port = target.partition(":")
    assert host == HOST
    assert f"--page-port {port}" in block
    assert job.get("metrics_path", "/metrics") == "/metrics"
