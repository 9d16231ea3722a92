"""Prometheus's own programs, and our rules and boards as a test or a drill reads them."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from made.scripts import ROOT

DOCKER = ROOT / "docker"
BOARDS = {
    name: json.loads((DOCKER / f"grafana/dashboards/{name}.json").read_text()) for name in ("serving", "ray")
}
ALL_RULES = yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"][0]["rules"]
#: Rules that alert, and names that the others record.
ALERTS = [rule for rule in ALL_RULES if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in ALL_RULES if "record" in rule}


class Query(NamedTuple):
    """A query of a panel or a rule."""

    where: str
    expression: str


def program(name: str) -> str:
    """Path of ``promtool`` or ``prometheus``.

    Without it a test fails in CI, unless ``.ci/run`` found that it cannot be had, and is skipped elsewhere.
    """
    if found := shutil.which(name):
        return found
    words = (
        f"{name} is not on the PATH: .ci/promtool FOLDER unpacks it there from Debian's package `prometheus`"
    )
    if os.environ.get("CI") and not os.environ.get("WITHOUT_PROMTOOL"):
        pytest.fail(words)
    pytest.skip(words)


def queries_of(board: str) -> list[Query]:
    """Every query of a board."""
    return [
        Query(f"{board}: {panel['title']} {target['refId']}", target["expr"])
        for panel in BOARDS[board]["panels"]
        for target in panel["targets"]
    ]


def all_queries() -> list[Query]:
    """Every query of the boards and of the rules, those of recorded names included."""
    rules = [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in ALL_RULES]
    return [*queries_of("serving"), *queries_of("ray"), *rules]


def names_in(expression: str) -> set[str]:
    """Names of the series that a query reads and Ray exports."""
    return set(re.findall(r"\bray_\w+", expression))


def scrape_config(metrics_address: str, own_address: str, rules: Path) -> dict[str, Any]:
    """Configuration of docker/prometheus.yml for one Ray node, at ``metrics_address``."""
    config: dict[str, Any] = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
    config["rule_files"] = [str(rules)]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    del jobs["ray"]["dns_sd_configs"]
    jobs["ray"]["static_configs"] = [{"targets": [metrics_address]}]
    jobs["prometheus"]["static_configs"] = [{"targets": [own_address]}]
    return config
