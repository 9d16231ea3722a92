"""docker/: dashboard, alerts and docs of serving ask for metrics, labels and values that the code exports."""

import json
import re
from pathlib import Path

import pytest
import yaml
from made.scripts import ROOT

from kalshi_platform.serving.server.metrics import METRICS

DOCKER = ROOT / "docker"
BOARD = json.loads((DOCKER / "grafana/dashboards/serving.json").read_text())
RULES = yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"][0]["rules"]
DOCS = (ROOT / "docs" / "serving-operations.md").read_text()
TABLE = {f"ray_{metric.name}": metric for metric in METRICS}
EXPRESSIONS = [
    *(
        pytest.param(t["expr"], id=f"panel {p['id']} {t['refId']}")
        for p in BOARD["panels"]
        for t in p["targets"]
    ),
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in RULES),
]
#: What every series of a replica carries beside its own labels.
COMMON = {"le", "deployment", "replica", "application"}


def problems_of(expression: str) -> list[str]:
    """What is wrong with a query: names nobody exports, labels and values they never have."""
    found = []
    if expression.count("(") != expression.count(")"):
        found.append("parentheses")
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
    return {f"ray_{name}{end}" for name in names for end in ("", "_total")}


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


def test_every_alert_is_explained_and_says_how_bad_it_is():
    headings = {line[4:].strip() for line in DOCS.splitlines() if line.startswith("### ")}
    assert {rule["alert"] for rule in RULES} == headings
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/serving-operations.md#{rule['alert'].lower()}"
        assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


def test_the_alerts_of_the_issue_are_there_with_its_bounds():
    by_name = {rule["alert"]: rule["expr"] for rule in RULES}
    assert by_name["SlowInference"].startswith("histogram_quantile(0.99")
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
