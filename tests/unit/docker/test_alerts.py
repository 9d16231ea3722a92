"""docker/: dashboard, alerts and docs of serving ask for metrics, labels and values that the code exports."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from made.prometheus import ALERTS, ALL_RULES, BOARDS, DOCKER, RECORDED, program, queries_of
from made.scripts import ROOT

from kalshi_platform.serving.server.metrics import METRICS

BOARD = BOARDS["serving"]
DOCS = (ROOT / "docs" / "serving-operations.md").read_text()
RULE_TESTS = Path(__file__).with_name("alerts_test.yml")
TABLE = {f"ray_{metric.name}": metric for metric in METRICS}
EXPRESSIONS = [
    *(pytest.param(query.expression, id=query.where) for query in queries_of("serving")),
    *(pytest.param(rule["expr"], id=rule.get("alert") or rule["record"]) for rule in ALL_RULES),
]
#: What every series of a replica carries beside its own labels.
COMMON = {"le", "deployment", "replica", "application"}


def problems_of(expression: str) -> list[str]:
    """What is wrong with a query: names nobody exports, labels and values they never have."""
    found = []
    if expression.count("(") != expression.count(")"):
        found.append("parentheses")
    found += [
        f"{name}: no rule records it"
        for name in re.findall(r"\bkalshi_serve:\w+:\w+", expression)
        if name not in RECORDED
    ]
    for name, selector in re.findall(r"\b(ray_\w+)(\{[^}]*\})?", expression):
        if not name.startswith("ray_kalshi_"):
            if name not in ray_names():
                found.append(f"{name}: nothing in Ray exports it")
            continue
        base = name.removesuffix("_bucket")
        metric = TABLE.get(base)
        if metric is None or (metric.kind == "histogram") != name.endswith("_bucket"):
            found.append(f"{name}: not exported")
            continue
        for label, value in re.findall(r'(\w+)="([^"]*)"', selector):
            if label not in metric.labels:
                found.append(f"{name}: no label {label}")
            elif label == metric.labels[-1] and metric.values and value not in metric.values:
                found.append(f"{name}: {label} is never {value}")
        for grouped in re.findall(r"by \(([\w, ]+)\)", expression):
            found += [
                f"{name}: no label {label}"
                for label in grouped.split(", ")
                if label not in COMMON and label not in metric.labels
            ]
    return found


def ray_names() -> set[str]:
    """Names that Serve's source gives its metrics, as Ray exports them."""
    import ray.serve

    source = "".join(p.read_text() for p in (Path(ray.serve.__file__).parent / "_private").glob("*.py"))
    names = set(re.findall(r'"(serve_[a-z_]+)"', source))
    names |= {n.replace("{protocol_name}", "http") for n in re.findall(r'f"(serve_[a-z_{}]+)"', source)}
    return {f"ray_{name}{end}" for name in names for end in ("", "_total", "_bucket")}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_query_asks_for_what_is_exported(expression):
    assert problems_of(expression) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(ray_kalshi_serve_readyy)", "ray_kalshi_serve_readyy: not exported"),
        ("rate(ray_kalshi_serve_request_seconds[5m])", "ray_kalshi_serve_request_seconds: not exported"),
        ("rate(ray_kalshi_serve_notes_total_bucket[5m])", "not exported"),
        ('rate(ray_kalshi_serve_notes_total{note="fallbak"}[5m])', "note is never fallbak"),
        ('rate(ray_kalshi_serve_notes_total{kind="fallback"}[5m])', "no label kind"),
        ("sum by (stage) (rate(ray_kalshi_serve_decisions_total[5m]))", "no label stage"),
        ("ray_serve_replica_thinking", "nothing in Ray exports it"),
        ("sum(ray_kalshi_serve_ready", "parentheses"),
    ],
)
def test_a_typo_in_a_query_is_found(expression, said):
    assert said in "\n".join(problems_of(expression))


def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for line in page.splitlines() if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_its_runbook_is_there(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    assert anchor in anchors((ROOT / page).read_text())
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_a_runbook_says_what_it_means_how_to_look_and_what_to_do(rule):
    text = re.search(rf"^### {rule['alert']}\n(.*?)(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert text
    for part in ("**Means.**", "**Look.**", "**Do.**"):
        assert part in text[1], part


def test_no_runbook_is_about_an_alert_that_is_gone_and_the_table_of_times_has_each():
    alerts = DOCS[DOCS.index("## Alerts\n") : DOCS.index("## Load test\n")]
    names = {rule["alert"] for rule in ALERTS}
    assert set(re.findall(r"^### (\w+)$", alerts, re.MULTILINE)) == names
    rows = dict(re.findall(r"^\| \[(\w+)\]\(#\w+\) \| (\w+) \|", alerts, re.MULTILINE))
    assert rows == {rule["alert"]: rule["labels"]["severity"] for rule in ALERTS}


def test_promtool_reads_configuration_and_rules():
    tool = program("promtool")
    subprocess.run([tool, "check", "rules", DOCKER / "alerts.yml"], check=True)
    subprocess.run([tool, "check", "config", "--syntax-only", DOCKER / "prometheus.yml"], check=True)


def test_every_rule_fires_where_it_should_and_is_quiet_beside():
    done = subprocess.run(
        [program("promtool"), "test", "rules", RULE_TESTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_a_rule_that_was_weakened(tmp_path):
    """The unit tests of the rules can fail: each bound that is doubled is found."""
    weak = (DOCKER / "alerts.yml").read_text()
    for bound in ("> 0.075", "> 0.1\n", "> 900", "> 0.01\n", "> 0.05\n", "> 0.2\n"):
        assert bound in weak
        weak = weak.replace(bound, f"> 2 * {bound[2:]}")
    (tmp_path / "alerts.yml").write_text(weak)
    tests = yaml.safe_load(RULE_TESTS.read_text())
    tests["rule_files"] = ["alerts.yml"]
    tests["tests"] = [each for each in tests["tests"] if "6h" not in str(each)]
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [program("promtool"), "test", "rules", tmp_path / "tests.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    failed = set(re.findall(r"alertname:? ?(\w+)", done.stdout + done.stderr))
    assert failed >= {"SlowInference", "SlowStream", "StaleFeatures", "DeadlinesMissed", "ShadowDisagrees"}


def test_every_alert_has_a_unit_test_that_fires_and_one_that_does_not():
    cases = [
        case for test in yaml.safe_load(RULE_TESTS.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in ALERTS}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_rules_are_evaluated_as_often_as_their_data_comes():
    times = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["global"]
    assert times["evaluation_interval"] == times["scrape_interval"] == "15s"
    assert yaml.safe_load(RULE_TESTS.read_text())["evaluation_interval"] == times["evaluation_interval"]


def test_the_alerts_of_the_issue_are_there_with_its_bounds():
    by_name = {rule["alert"]: rule["expr"] for rule in ALERTS}
    assert "histogram_quantile(0.99" in by_name["SlowInference"]
    assert by_name["SlowInference"].endswith("> 0.075")
    wanted = {"StaleFeatures", "Fallbacks", "NoReadyReplica", "CandidateRefused", "ShadowDisagrees"}
    assert wanted <= set(by_name)


def test_every_metric_is_in_the_docs_and_on_the_dashboard():
    asked = " ".join(target["expr"] for panel in BOARD["panels"] for target in panel["targets"])
    for metric in METRICS:
        row = re.search(rf"^\| `{metric.name}` \| ([\w, ]*)\|", DOCS, re.MULTILINE)
        assert row, metric.name
        assert tuple(label for label in row[1].strip().split(", ") if label) == metric.labels
        assert re.search(rf"\bray_{metric.name}(_bucket)?\b", asked), metric.name
    assert set(re.findall(r"^\| `(kalshi_serve_\w+)`", DOCS, re.MULTILINE)) == {m.name for m in METRICS}


def test_prometheus_reads_the_alerts_where_compose_puts_them():
    (path,) = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["rule_files"]
    volumes = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    assert f"./alerts.yml:{path}:ro" in volumes


def test_the_dashboard_asks_the_provisioned_source_and_no_panel_lies_on_another():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert {t["datasource"]["uid"] for p in BOARD["panels"] for t in p["targets"]} == {"prometheus"}
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
