"""cluster/kuberay/podmonitor.yaml: Prometheus on Kubernetes finds every Ray pod, as compose's every node.

The fields used were validated against the operator's own schema of PodMonitor (prometheus-operator 0.93.0);
SCHEMA names those fields and refuses any other.
"""

import copy

import jsonschema
import pytest
import yaml
from made.kuberay_schema import MANIFESTS, ROOT, manifest
from made.prometheus import ALERTS, DOCKER

PATH = ROOT / "cluster" / "kuberay" / "podmonitor.yaml"
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(**properties: object) -> dict:
    """Schema of an object that has exactly these fields."""
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


RELABELING = closed(
    action={"enum": ["replace"]}, targetLabel={"type": "string"}, replacement={"type": "string"}
)
ENDPOINT = closed(
    port={"type": "string"},
    interval={"type": "string", "pattern": r"^\d+s$"},
    scrapeTimeout={"type": "string", "pattern": r"^\d+s$"},
    relabelings={"type": "array", "items": RELABELING},
)
SCHEMA = closed(
    apiVersion={"const": "monitoring.coreos.com/v1"},
    kind={"const": "PodMonitor"},
    metadata=closed(name={"type": "string"}, labels=STRINGS),
    spec=closed(
        selector=closed(matchLabels=STRINGS),
        podMetricsEndpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
    ),
)


@pytest.fixture
def monitor() -> dict:
    return yaml.safe_load(PATH.read_text())


def pods_of(kind: str) -> list[tuple[dict, dict]]:
    """Every Ray pod of a manifest: its group and its template."""
    spec = manifest(kind)["spec"]
    cluster = spec if kind == "RayCluster" else spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [(group, group["template"]) for group in groups]


def test_its_fields_are_those_of_the_operator(monitor):
    jsonschema.Draft202012Validator(SCHEMA).validate(monitor)
    wrong = copy.deepcopy(monitor)
    wrong["spec"]["podMetricsEndpoints"][0]["relabelling"] = []
    with pytest.raises(jsonschema.ValidationError, match="relabelling"):
        jsonschema.Draft202012Validator(SCHEMA).validate(wrong)


@pytest.mark.parametrize("kind", list(MANIFESTS))
def test_every_ray_pod_is_selected_and_exports_on_the_port_that_is_scraped(monitor, kind):
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    for group, template in pods_of(kind):
        assert wanted <= template["metadata"]["labels"].items()
        ports = {p["name"]: p["containerPort"] for c in template["spec"]["containers"] for p in c["ports"]}
        assert ports[endpoint["port"]] == int(group["rayStartParams"]["metrics-export-port"])


def test_it_scrapes_as_often_as_compose_does_and_under_the_same_name(monitor):
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    compose = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
    assert endpoint["interval"] == compose["global"]["scrape_interval"]
    assert endpoint["scrapeTimeout"] == compose["global"]["scrape_timeout"]
    (relabeling,) = endpoint["relabelings"]
    assert relabeling["targetLabel"] == "job"
    assert relabeling["replacement"] in [job["job_name"] for job in compose["scrape_configs"]]
    asked = next(rule["expr"] for rule in ALERTS if rule["alert"] == "NotScraped")
    assert f'job="{relabeling["replacement"]}"' in asked
