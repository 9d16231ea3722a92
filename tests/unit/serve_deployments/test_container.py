"""serve_deployments/container.py: what a container serves, and how it ends where it cannot."""

from pathlib import Path

import pytest
import ray
import yaml
from made.scripts import ROOT

from kalshi_platform.domain.errors import ContractError
from serve_deployments import container
from serve_deployments.local import Running

IMAGES_CONFIG = ROOT / "docker" / "serve-config.yaml"


def test_the_images_config_is_served_to_all_with_tokens_and_asks_for_no_processors():
    args, host, port = container.read_config(IMAGES_CONFIG, None)
    assert (host, port) == ("0.0.0.0", 8000)
    assert args.access.token_env == "KALSHI_CLIENT_TOKENS"
    assert (args.model, args.replica_cpus, args.tier_3_cpus) == ("champion", 0, 0)
    assert container.read_config(IMAGES_CONFIG, "challenger")[0].model == "challenger"


@pytest.mark.parametrize(
    ("text", "said"),
    [("applications: []", "ValueError"), ("- a", "TypeError"), ("a: [", "Error"), ("{}", "KeyError")],
)
def test_a_file_that_is_no_config_is_refused_by_its_name(tmp_path: Path, text: str, said: str):
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    with pytest.raises(ContractError, match=rf"serve\.yaml is no config .*{said}"):
        container.read_config(path, None)
    with pytest.raises(ContractError, match=r"absent\.yaml cannot be read"):
        container.read_config(tmp_path / "absent.yaml", None)


def test_a_wrong_argument_of_the_application_is_named(tmp_path: Path):
    config = yaml.safe_load(IMAGES_CONFIG.read_text())
    config["applications"][0]["args"]["replicas"] = 0
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ContractError, match="replicas"):
        container.read_config(tmp_path / "serve.yaml", None)


def test_a_config_that_asks_for_no_token_is_served_on_loopback_only(monkeypatch, tmp_path: Path):
    """A file of tokens changes nothing: whoever shows none is let in."""
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    config = yaml.safe_load(IMAGES_CONFIG.read_text())
    (tmp_path / "clients").write_text("a-token-of-the-tests\n")
    for access in ({}, {"token_file": str(tmp_path / "clients")}):
        config["applications"][0]["args"]["access"] = {"require_token": False, **access}
        (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
        served = container.read_config(tmp_path / "serve.yaml", None)
        with pytest.raises(ContractError, match=r"host '0\.0\.0\.0' can be reached"), Running(*served):
            pytest.fail("it is served")


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("many", r"no config .*ValueError"),
        (None, r"no config .*TypeError"),
        (99_999, "is 99999: give a port"),
    ],
)
def test_a_port_that_is_none_is_named(tmp_path: Path, port: object, said: str):
    config = yaml.safe_load(IMAGES_CONFIG.read_text())
    config["http_options"] = {"port": port}
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ContractError, match=rf"serve\.yaml.* {said}"):
        container.read_config(tmp_path / "serve.yaml", None)


def test_a_metrics_port_that_is_none_is_named(monkeypatch, capsys):
    monkeypatch.setattr(container, "serve_here", lambda *_, **__: pytest.fail("it was started"))
    assert container.main(["--metrics-port", "70000", str(IMAGES_CONFIG)]) == 2
    assert capsys.readouterr().err == (
        "kalshi-platform serve: --metrics-port is 70000: give a port from 1 to 65535\n"
    )


def test_a_refusal_is_one_line_and_an_exit_status_and_metrics_go_to_the_port_that_is_asked_for(
    monkeypatch, capsys
):
    called = []

    def serve(args, host, port, **options):
        called.append((args.model, port, options))
        raise ContractError("HAProxy needs more")

    monkeypatch.setattr(container, "serve_here", serve)
    assert container.main(["--model", "challenger", "--metrics-port", "9", str(IMAGES_CONFIG)]) == 2
    assert capsys.readouterr().err == "kalshi-platform serve: HAProxy needs more\n"
    assert called == [("challenger", 8000, {"ha_proxy": True, "metrics_port": 9})]


def test_an_end_that_is_asked_for_is_no_failure(monkeypatch):
    def serve(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(container, "serve_here", serve)
    assert container.main([str(IMAGES_CONFIG)]) == 0
