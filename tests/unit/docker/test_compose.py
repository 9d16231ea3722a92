"""docker/compose.yaml: nothing leaves this machine, no secret is written out, what it names is there."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from made.scripts import ROOT
from ray.dashboard.modules.metrics.metrics_head import GRAFANA_HOST_DISABLED_VALUE
from ray.scripts.scripts import cli

from serve_deployments import container
from serve_deployments.open_files import RAYS_CONNECTIONS, open_files_needed

DOCKER = ROOT / "docker"
TEXT = (DOCKER / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
#: A variable without a default: compose refuses to start while it is empty.
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|ADMIN_USER|ROOT_USER")
RAYS = ("ray-head", "ray-worker", "serve")
BUILT = {service["image"] for service in SERVICES.values() if "build" in service}


def filled(word: str) -> str:
    """A word of a command with the defaults of its variables."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", word)


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
    for name in RAYS:
        environment = SERVICES[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_auth_token"
        assert "ray_auth_token" in SERVICES[name]["secrets"]


def test_every_ray_node_knows_the_registry_whose_bucket_is_made_and_has_open_files_for_haproxy():
    (made,) = re.findall(r"for bucket in ([\w ]+);", SERVICES["minio-buckets"]["command"][0])
    for name in RAYS:
        bucket = SERVICES[name]["environment"]["KALSHI_PLATFORM_REGISTRY"].removeprefix("s3://")
        assert bucket in made.split()
        assert SERVICES[name]["ulimits"]["nofile"]["hard"] >= open_files_needed(RAYS_CONNECTIONS)
        assert SERVICES[name]["ulimits"]["nofile"]["soft"] >= open_files_needed(RAYS_CONNECTIONS)


def test_every_name_of_another_service_is_one_and_every_secret_is_declared(service):
    hosts = re.findall(r"http://([a-z-]+):\d+", json.dumps(service))
    assert set(hosts) <= set(SERVICES)
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_what_is_built_here_says_its_commit_and_is_a_stage_of_the_dockerfile(service):
    if build := service.get("build"):
        assert build["args"]["KALSHI_PLATFORM_COMMIT"] == "${KALSHI_PLATFORM_COMMIT:-}"
        assert service["image"].startswith(f"kalshi-platform-{build['target']}:")
        stages = re.findall(r"^FROM \S+ AS (\w+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
        assert build["target"] in stages


def test_mlflow_and_the_buckets_outlive_their_containers():
    kept = {name: [v.partition(":")[2] for v in SERVICES[name]["volumes"]] for name in ("mlflow", "minio")}
    (store,) = (word for word in SERVICES["mlflow"]["command"] if "backend-store-uri" in word)
    (file,) = re.findall(r"sqlite:///(/.+)$", store)
    assert str(Path(file).parent) in kept["mlflow"]
    assert SERVICES["minio"]["command"][1] in kept["minio"]


def test_serve_is_asked_for_on_port_8000_by_tokens_from_secrets_and_its_command_parses():
    served = SERVICES["serve"]
    assert served["profiles"] == ["serve"]
    assert served["ports"] == ["127.0.0.1:8000:8000"]
    *command, path = [filled(word) for word in served["command"]]
    (mount,) = (v for v in served["volumes"] if f":{path}:ro" in v)
    asked, host, port = container.read_config(DOCKER / mount.partition(":")[0], None)
    assert (host, port) == ("0.0.0.0", 8000)
    for file in (asked.access.token_file, asked.access.admin_token_file):
        assert str(file.parent) == "/run/secrets"
        assert file.name in served["secrets"]
    options = container.arguments_of([*command, path])
    assert (options.model, options.metrics_port, str(options.config)) == ("champion", 8080, path)


@pytest.mark.parametrize("name", ["ray-head", "ray-worker"])
def test_ray_understands_how_its_nodes_are_started(name):
    command, *words = [filled(word) for word in SERVICES[name]["command"]]
    with cli.commands[command].make_context("start", words) as context:
        assert context.params["metrics_export_port"] == 8080
        assert context.params["block"]


def test_mlflow_understands_how_it_is_started():
    """Its options are looked up in the source: MLflow takes ten seconds to import."""
    package = Path(find_spec("mlflow").origin).parent
    known = "".join(path.read_text() for path in (package / "cli/__init__.py", package / "utils/cli_args.py"))
    command, *words = SERVICES["mlflow"]["command"]
    assert f"def {command}(" in known
    assert [word for word in words if f'"{word.partition("=")[0]}"' not in known] == []


def test_the_dashboard_leaves_out_the_tab_whose_boards_nobody_provisions():
    assert SERVICES["ray-head"]["environment"]["RAY_GRAFANA_HOST"] == GRAFANA_HOST_DISABLED_VALUE


def test_grafana_and_prometheus_find_each_other_and_the_ray_nodes():
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    board = json.loads((DOCKER / "grafana/dashboards/ray.json").read_text())
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    assert used == {source["datasources"][0]["uid"]}
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]["dns_sd_configs"][
        0
    ]
    assert set(scraped["names"]) == set(RAYS)
    for name in scraped["names"]:
        asked = re.findall(r"--metrics-(?:export-)?port=(\d+)", " ".join(SERVICES[name]["command"]))
        assert asked == [str(scraped["port"])]
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


#: Images of others that run as root and make their own folders: with the engine's own rights, no new ones.
AS_ROOT = {"minio", "minio-buckets"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name):
    found = SERVICES[name]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert (
        not {"privileged", "cap_add", "network_mode", "pid", "ipc", "userns_mode", "devices"} & found.keys()
    )
    assert all("docker.sock" not in str(volume) for volume in found.get("volumes", ()))
    assert found.get("cap_drop") == (None if name in AS_ROOT else ["ALL"])
