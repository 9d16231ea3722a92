"""Settings, tokens and Serve config files: safe by default, refused with a reason where they cannot work."""

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import yaml
from made.kuberay_schema import manifest
from made.registry_models import IDLE, SIMULATED, flawed, made_policy, made_record
from ray.exceptions import RayActorError
from ray.serve.schema import ServeDeploySchema

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.models.registry import record
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.gate import AccessArgs
from serve_deployments import local
from serve_deployments.local import (
    NICENESS,
    Running,
    alias_to_serve,
    curl_line,
    deploy,
    free_port,
    no_shadow_words,
    readiness,
    require_free,
    start_serve,
    switches,
    why_not_deployed,
)

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = [*(ROOT / "serve_deployments" / "configs").glob("*.yaml"), ROOT / "docker" / "serve-config.yaml"]
TOKEN = "a-token-of-the-tests"


def served_by_kuberay() -> str:
    return str(manifest("RayService")["spec"]["serveConfigV2"])


def documents() -> dict[str, str]:
    return {path.name: path.read_text() for path in CONFIGS} | {"rayservice.yaml": served_by_kuberay()}


@pytest.mark.parametrize("name", sorted(documents()))
def test_serve_accepts_every_config_and_the_application_its_arguments(name: str):
    config = ServeDeploySchema.model_validate(yaml.safe_load(documents()[name]))
    (application,) = config.applications
    assert application.import_path == "serve_deployments.app:build"
    args = PolicyAppArgs.parse(application.args)
    host = config.http_options.host
    assert args.access.require_token or host == "127.0.0.1", f"{host} is served without tokens"


def test_without_a_word_about_tokens_nothing_is_served():
    with pytest.raises(ContractError, match="access"):
        PolicyAppArgs.parse({})
    with pytest.raises(ContractError, match="token_file nor token_env"):
        PolicyAppArgs.parse({"access": {}})
    with pytest.raises(ContractError, match=r"access\.token"):
        PolicyAppArgs.parse({"access": {"token": TOKEN}})


def test_without_a_champion_the_challenger_is_served_and_said_to_be_one(tmp_path: Path):
    registry = Registry(tmp_path)
    assert alias_to_serve(str(tmp_path), None) == ("champion", "")
    model = registry.add(*made_record(made_policy())).id
    registry.promote("challenger", model, reason="tried")
    alias, words = alias_to_serve(str(tmp_path), None)
    assert alias == "challenger"
    assert model in words
    assert words == f"{model}: no champion here: serving the challenger; passed no gate: do not trade by it"
    assert alias_to_serve(str(tmp_path), "champion") == ("champion", "")
    registry.promote("champion", model, reason="passed", evidence="a" * 12)
    assert alias_to_serve(str(tmp_path), None) == ("champion", "")


def test_a_challenger_that_does_not_trade_is_served_only_where_nothing_better_is_there_or_it_is_named(
    tmp_path: Path,
):
    registry = Registry(tmp_path)
    record, files = made_record(made_policy())
    idle = registry.add(flawed(record, action_counts=IDLE), files).id
    registry.promote("challenger", idle, reason="tried")
    alias, words = alias_to_serve(str(tmp_path), None)
    assert alias == "challenger"
    assert words.startswith(f"{idle}: no champion here: serving the challenger; does not trade: ")
    record, files = made_record(made_policy(seed=1))
    sound = registry.add(flawed(record), files).id
    with pytest.raises(LimitError, match="it does not trade") as refused:
        alias_to_serve(str(tmp_path), None)
    assert f"models promote {sound} --alias challenger --registry {tmp_path}" in str(refused.value)
    assert f"serve --model challenger --registry {tmp_path}" in str(refused.value)
    alias, words = alias_to_serve(str(tmp_path), "challenger")
    assert (alias, words.startswith(f"{idle}: does not trade: ")) == ("challenger", True)


def test_a_shadow_that_names_no_other_model_is_told_and_one_that_does_is_not(tmp_path: Path):
    registry = Registry(tmp_path)
    served, other = (registry.add(*made_record(made_policy(seed=seed))).id for seed in (0, 1))
    registry.promote("champion", served, reason="passed")
    said = no_shadow_words(registry, "challengr", served)
    assert said.startswith("warning: no model decides beside the served one: ")
    assert "'challengr'" in said
    assert said.endswith("one that is promoted to challengr later decides from then on")
    registry.promote("challenger", served, reason="tried")
    assert f"challenger names {served}, which is served itself" in no_shadow_words(
        registry, "challenger", served
    )
    registry.promote("challenger", other, reason="tried")
    assert no_shadow_words(registry, "challenger", served) == ""
    assert no_shadow_words(registry, None, served) == ""


def test_a_simulated_champion_is_served_and_said_to_be_one_at_the_start(tmp_path: Path):
    registry = Registry(tmp_path)
    model = registry.add(*made_record(made_policy())).id
    registry.promote(
        "champion", model, reason="passed", evidence="a" * 12, standing="simulated", judged_on=SIMULATED
    )
    alias, words = alias_to_serve(str(tmp_path), None)
    assert alias == "champion"
    assert words == (f"{model}: simulated: judged on simulated data only (12 events in 12 blocks simulated)")


def test_a_model_of_another_feature_table_is_refused_before_ray_starts(monkeypatch, tmp_path: Path):
    registry = Registry(tmp_path)
    model = registry.add(*made_record(made_policy())).id
    registry.promote("champion", model, reason="passed")
    monkeypatch.setattr(record, "FEATURE_DIGEST", "0" * 12)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    args = PolicyAppArgs.parse({"registry": str(tmp_path), "access": {"require_token": False}})
    with (
        pytest.raises(
            ContractError, match=f"model {model} does not fit this program: feature is 0{{12}} here"
        ),
        Running(args, "127.0.0.1", free_port("127.0.0.1")),
    ):
        pytest.fail("it is served")


def test_a_metrics_port_that_is_taken_is_refused_before_ray_starts(monkeypatch, tmp_path: Path):
    registry = Registry(tmp_path)
    registry.promote("champion", registry.add(*made_record(made_policy())).id, reason="passed")
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    args = PolicyAppArgs.parse({"registry": str(tmp_path), "access": {"require_token": False}})
    with socket.create_server(("0.0.0.0", free_port("0.0.0.0"))) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ContractError, match=f"0.0.0.0:{port} cannot .* choose --metrics-port"),
            Running(args, "127.0.0.1", free_port("127.0.0.1"), port),
        ):
            pytest.fail("it is served")


def test_a_failed_deployment_names_what_its_replicas_raised():
    """The status that Serve gives after three replicas in a row ended in their constructor."""
    ended = SimpleNamespace(
        status="DEPLOY_FAILED",
        message="Failed to start 3 times in a row. Error:\nTraceback (most recent call last):\n"
        '  File "app.py", line 76, in __init__\nLimitError: champion cannot be served\n\n',
    )
    well = SimpleNamespace(status="HEALTHY", message="")
    status = SimpleNamespace(
        applications={"policy": SimpleNamespace(deployments={"Tier3": well, "Ingress": ended})}
    )
    assert why_not_deployed("Deploying application policy failed", status) == (
        "Deploying application policy failed; Ingress: LimitError: champion cannot be served; "
        "Ray's logs are in /tmp/ray"
    )


def test_a_free_port_is_outside_the_range_of_outgoing_connections_and_not_one_that_is_taken(monkeypatch):
    first, *others = (free_port("127.0.0.1") for _ in range(9))
    assert 20_000 <= min(first, *others) <= max(first, *others) < 32_768
    other = next(port for port in range(31_000, 32_768) if port not in {first, *others})
    with socket.create_server(("127.0.0.1", first)):
        monkeypatch.setattr(local, "_PORTS", [first])
        with pytest.raises(LimitError, match=f"100 ports tried between {first} and {first} are all taken"):
            free_port("127.0.0.1")
        monkeypatch.setattr(local, "_PORTS", [first, other])
        assert free_port("127.0.0.1") == other


def test_a_port_is_given_once_whatever_process_of_this_machine_asks(monkeypatch):
    """Who is given one listens up to a minute later."""
    monkeypatch.setattr(local, "_PORTS", [free_port("127.0.0.1"), free_port("127.0.0.1")])
    with pytest.raises(LimitError, match="100 ports tried"):
        free_port("127.0.0.1")
    code = f"""
from serve_deployments import local
local._PORTS = {local._PORTS}
local.free_port("127.0.0.1")
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "100 ports tried" in child.stderr


def test_an_address_of_another_machine_has_no_free_port():
    with pytest.raises(ContractError, match=r"192\.0\.2\.77 cannot be listened on"):
        free_port("192.0.2.77")


class FakeServe:
    """Ray Serve whose start and run raise what is planted, one error a call."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), []

    def _do(self, name: str) -> None:
        self.calls.append(name)
        if self.errors:
            raise self.errors.pop(0)

    def start(self, http_options):
        assert http_options == {"port": 1}
        self._do("start")

    def run(self, application, name, route_prefix, blocking):
        assert (application, name, route_prefix, blocking) == ("app", "policy", "/", False)
        self._do("run")

    def status(self):
        replica = SimpleNamespace(status="UNHEALTHY", message="Traceback\nLimitError: too slow\n")
        return SimpleNamespace(applications={"policy": SimpleNamespace(deployments={"Ingress": replica})})


@pytest.mark.parametrize("error", [TimeoutError("HTTP proxies not available"), RayActorError()])
def test_a_late_proxy_is_waited_for_once_more_and_said_to_be_late(error, capsys):
    served = FakeServe(error)
    start_serve(served, {"port": 1})
    assert served.calls == ["start", "start"]
    assert f"proxy is late, as on a busy machine; waiting for it once more ({type(error).__name__}" in (
        capsys.readouterr().err
    )
    with pytest.raises(type(error)):
        start_serve(FakeServe(error, error), {"port": 1})


def test_a_deployment_that_failed_is_refused_with_its_reason_and_a_late_proxy_is_left_to_the_wait(capsys):
    deploy(FakeServe(TimeoutError("Proxies not available after 60s.")), "app")
    assert "late, as on a busy machine (TimeoutError: Proxies not available after 60s.)" in (
        capsys.readouterr().err
    )
    with pytest.raises(LimitError, match="failed to deploy; Ingress: LimitError: too slow"):
        deploy(FakeServe(RuntimeError("failed to deploy")), "app")


def test_a_taken_port_is_told_before_anything_starts():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ContractError, match="choose --port"),
    ):
        require_free("127.0.0.1", server.getsockname()[1])


def test_haproxy_listens_on_ports_of_this_service():
    first, second = (switches("127.0.0.1", ha_proxy=True) for _ in range(2))
    assert first["RAY_SERVE_ENABLE_HA_PROXY"] == first["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert first["RAY_SERVE_HAPROXY_STATS_PORT"] != second["RAY_SERVE_HAPROXY_STATS_PORT"]
    assert not any("HA_PROXY" in name for name in switches("127.0.0.1", ha_proxy=False))


def test_replicas_get_no_less_of_a_processor_than_other_programs_unless_the_user_wants_it(monkeypatch):
    monkeypatch.delenv(NICENESS, raising=False)
    assert switches("127.0.0.1", ha_proxy=False)[NICENESS] == "0"
    monkeypatch.setenv(NICENESS, "10")
    assert switches("127.0.0.1", ha_proxy=True)[NICENESS] == "10"


def test_the_curl_line_shows_where_the_token_is_and_not_the_token(tmp_path: Path):
    (tmp_path / "tokens").write_text(TOKEN)
    line = curl_line("http://127.0.0.1:8000", AccessArgs(token_file=tmp_path / "tokens"))
    assert TOKEN not in line
    assert line.count(f"$(grep -m 1 -vE '^[[:space:]]*(#|$)' {tmp_path / 'tokens'})") == 2
    line = curl_line("http://127.0.0.1:8000", AccessArgs(token_env="CLIENT_TOKENS"))
    assert line.count("$(printenv CLIENT_TOKENS | grep -m 1 -vE") == 2


def test_the_curl_line_shows_a_token_that_stands_behind_comments(tmp_path: Path):
    place = tmp_path / "of the clients"
    place.write_text(f"# of the tests\n\n  # and more\n{TOKEN}\nanother-token-of-the-tests\n")
    line = curl_line("http://127.0.0.1:8000", AccessArgs(token_file=place))
    asked = line.partition("Bearer $(")[2].partition(')" http')[0]
    assert (
        subprocess.run(["sh", "-c", asked], capture_output=True, text=True, check=True).stdout == f"{TOKEN}\n"
    )


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, '{"ready": true, "model": "m"}', {"ready": True, "model": "m"}),
        (503, '{"ready": false, "reason": "starting"}', {"ready": False, "reason": "starting"}),
        (404, "<html>", {"ready": False, "reason": "404 <html>"}),
    ],
)
def test_what_the_server_says_of_itself_is_read_whatever_its_status(status: int, text: str, said: dict):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert readiness(f"http://127.0.0.1:{server.server_port}") == said
        thread.join()


def test_a_server_that_is_not_there_is_not_ready():
    state = readiness(f"http://127.0.0.1:{free_port('127.0.0.1')}")
    assert state["ready"] is False
    assert "refused" in state["reason"] or "connect" in state["reason"]
