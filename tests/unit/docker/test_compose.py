"""docker/compose.yaml: nothing leaves this machine, no secret is written out, what it names is there."""

import json
import re
from pathlib import Path

import pytest
import yaml
from made.scripts import ROOT

DOCKER = ROOT / "docker"
TEXT = (DOCKER / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
#: A variable without a default: compose refuses to start while it is empty.
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|ADMIN_USER|ROOT_USER")
BUILT = {service["image"] for service in SERVICES.values() if "build" in service}


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]


def test_every_port_is_published_on_loopback_alone(service):
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+(/(tcp|udp))?", str(port))


def test_an_image_is_built_here_or_pinned_to_a_release(service):
    assert service["image"] in BUILT or re.search(r":[\w.-]*\d[\w.-]*$", service["image"])


def test_a_credential_comes_from_a_variable_that_must_be_set(service):
    for name, value in service.get("environment", {}).items():
        if SECRET_NAME.search(name) and not name.endswith(("_PATH", "_FILE")):
            assert REQUIRED.fullmatch(str(value)), name


def test_files_and_volumes_that_a_service_mounts_are_there(service):
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], source
    if build := service.get("build"):
        assert (DOCKER / build["context"] / build["dockerfile"]).exists()


def test_a_service_starts_again_and_whatever_waits_for_its_health_can_ask(service):
    assert "restart" in service
    assert "healthcheck" in service or service["restart"].startswith("on-failure")
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_secret_files_must_be_named():
    assert COMPOSE["secrets"]
    assert all(REQUIRED.fullmatch(secret["file"]) for secret in COMPOSE["secrets"].values())


def test_the_example_of_the_env_file_has_every_variable_and_no_other():
    example = (DOCKER / ".env.example").read_text()
    offered = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert offered == set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT))
    for name in re.findall(r":\?set ([A-Z_]+) in", TEXT):
        assert re.search(rf"^{name}=$", example, re.MULTILINE), name


def test_every_ray_node_asks_for_the_token():
    for name in ("ray-head", "ray-worker"):
        environment = SERVICES[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_auth_token"
        assert SERVICES[name]["secrets"] == ["ray_auth_token"]


def test_grafana_and_prometheus_find_each_other_and_the_ray_nodes():
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    board = json.loads((DOCKER / "grafana/dashboards/ray.json").read_text())
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    assert used == {source["datasources"][0]["uid"]}
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]["dns_sd_configs"][
        0
    ]
    for name in scraped["names"]:
        assert f"--metrics-export-port={scraped['port']}" in SERVICES[name]["command"]
    folder = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/files.yaml").read_text())
    assert f":{folder['providers'][0]['options']['path']}:ro" in "".join(SERVICES["grafana"]["volumes"])


def test_panels_ask_for_metrics_that_ray_exports():
    import ray

    known = "".join(p.read_text() for p in (Path(ray.__file__).parent / "dashboard").rglob("*panels.py"))
    board = json.loads((ROOT / "docker/grafana/dashboards/ray.json").read_text())
    asked = {
        m for p in board["panels"] for t in p["targets"] for m in re.findall(r"\bray_[a-z_]+", t["expr"])
    }
    # Seen in a head's own answer, but in none of Ray's dashboards.
    assert {m for m in asked if m not in known} == {"ray_cluster_active_nodes", "ray_running_jobs"}
