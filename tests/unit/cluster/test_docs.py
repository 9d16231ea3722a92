"""docs/cluster.md: every command parses, and names programs, options, files and services that exist."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from made.kuberay_schema import manifest
from made.scripts import ROOT, load_script

import kalshi_platform

PAGE = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
PARTS = [shlex.split(part) for line in LINES for part in line.split(" | ")]
PROGRAMS = {
    "cp",
    "docker",
    "export",
    "helm",
    "kalshi-platform",
    "kubectl",
    "make",
    "python",
    "ray",
    "sed",
    "set",
}


def starting(*words: str) -> list[list[str]]:
    """What follows ``words`` in every command that begins so."""
    found = [part[len(words) :] for part in PARTS if part[: len(words)] == list(words)]
    assert found, words
    return found


def test_every_block_is_shell_of_programs_this_test_knows():
    for block in BLOCKS:
        subprocess.run(["bash", "-n"], input=block, text=True, check=True, timeout=20)
    assert {part[0].rstrip(";") for part in PARTS} == PROGRAMS


@pytest.mark.parametrize("words", [p[1:] for p in PARTS if p[0] == "ray"], ids=" ".join)
def test_ray_knows_each_of_its_commands_and_options(words):
    from ray.scripts.scripts import cli

    command: click.Command = cli
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words))


def test_submit_takes_the_arguments_shown():
    submit = load_script("cluster/submit.py")
    for words in starting("python", "cluster/submit.py"):
        options = submit.parse(words)
        assert options.experiment == "curriculum_sweep"
        assert options.arguments
        address = submit.address_of(options.address, {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:8265"})
        assert address == "http://127.0.0.1:8265"


def test_a_sweep_on_a_cluster_lies_in_a_place_of_its_own_and_its_model_in_a_registry():
    submit = load_script("cluster/submit.py")
    asked = [submit.parse(words).arguments for words in starting("python", "cluster/submit.py")]
    asked.append(shlex.split(manifest("RayJob")["spec"]["entrypoint"])[3:])
    on_one_machine = [words for words in asked if "--storage" not in words]
    assert on_one_machine == [["--smoke", "--out", "/tmp/sweep"]]
    for words in (words for words in asked if words not in on_one_machine):
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert set(options) == {"--dataset", "--storage", "--registry"}
        assert all(value.startswith("s3://") for value in options.values())
        # A prefix of one sweep: with the bucket alone the second sweep of a team would be refused.
        assert re.fullmatch(r"s3://.*sweeps/curriculum-\d{4}-\d\d-\d\d", options["--storage"])


def test_mlflows_address_comes_from_the_config_map_that_the_page_makes():
    ((name, literal),) = starting("kubectl", "create", "configmap")
    for kind in ("RayCluster", "RayJob"):
        spec = manifest(kind)["spec"]
        head = spec.get("rayClusterSpec", spec)["headGroupSpec"]["template"]["spec"]["containers"][0]
        (read,) = [
            e["valueFrom"]["configMapKeyRef"] for e in head["env"] if e["name"] == "MLFLOW_TRACKING_URI"
        ]
        assert read == {"name": name, "key": literal.split("=")[1], "optional": True}
    assert literal.startswith("--from-literal=tracking_uri=http")


def test_every_file_named_exists():
    paths = {word for part in PARTS for word in part if re.match(r"(cluster|docker)/.+\.\w+$", word)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    assert len(paths) >= 7


def test_compose_commands_name_its_file_and_its_services():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for words in starting("docker", "compose"):
        assert words[:2] == ["-f", "docker/compose.yaml"]
        assert words[2] in {"config", "up", "ps", "logs", "down"}
        named = [w.partition("=")[0] for w in words[3:] if not w.startswith("--")]
        assert set(named) <= set(services)


def test_the_table_shows_every_published_port():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    published = {port.split(":")[1] for each in services.values() for port in each.get("ports", [])}
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| "))
    assert {port for port in published if not re.search(rf"127\.0\.0\.1:{port}|port {port}", rows)} == set()


def test_images_are_built_under_the_names_the_files_use():
    version = kalshi_platform.__version__
    built = {words[words.index("-t") + 1] for words in starting("docker", "build")}
    assert {f"kalshi-platform-{name}:{version}" for name in ("train", "serve")} <= built


def test_the_registry_goes_before_every_image_of_a_manifest():
    for words in starting("sed"):
        done = subprocess.run(
            ["bash", "-c", f'sed "{words[0].replace("$REGISTRY", "reg.example.org")}" {words[1]}'],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        images = re.findall(r"^ *image: (.+)$", done.stdout, re.MULTILINE)
        assert images
        assert all(image.startswith("reg.example.org/kalshi-platform-") for image in images)
        yaml.safe_load(done.stdout)


def test_kubernetes_objects_are_named_as_the_manifests_name_them():
    cluster = manifest("RayCluster")
    assert starting("kubectl", "get", "raycluster") == [[cluster["metadata"]["name"]]]
    service = manifest("RayService")["metadata"]["name"]
    assert starting("kubectl", "get", "rayservice") == [[service]]
    forwarded = [words[0] for words in starting("kubectl", "port-forward")]
    assert forwarded == [
        f"service/{cluster['metadata']['name']}-head-svc",
        f"service/{service}-serve-svc",
    ]
    assert starting("kubectl", "get", "rayjob") == [[manifest("RayJob")["metadata"]["name"]]]
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    assert starting("kubectl", "create", "serviceaccount") == [[head["serviceAccountName"]]]
    secrets = {words[0]: words[1:] for words in starting("kubectl", "create", "secret", "generic")}
    assert secrets[cluster["spec"]["authOptions"]["secretName"]][0].startswith("--from-file=auth_token=")
    read = [e["valueFrom"].get("secretKeyRef") for e in head["containers"][0]["env"] if "valueFrom" in e]
    used = {secret["key"] for secret in read if secret}
    assert {option.partition("=")[2] for option in secrets["kalshi-object-store"]} == used
    tokens = {option.partition("=")[2] for option in secrets["kalshi-serve-tokens"]}
    assert tokens == keys_of("RayService", "kalshi-serve-tokens")


def keys_of(kind: str, secret: str) -> set[str]:
    """Keys of a secret that the head of a manifest reads."""
    cluster = manifest(kind)["spec"]["rayClusterConfig"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    read = [e["valueFrom"]["secretKeyRef"] for e in head["env"] if "valueFrom" in e]
    return {each["key"] for each in read if each["name"] == secret}


def test_the_policies_shown_are_json_and_grant_no_wildcard_on_storage():
    policies = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert len(policies) == 2
    statements = [each for policy in policies for each in policy["Statement"]]
    assert not any("s3:*" in str(each["Action"]) or each["Action"] == "*" for each in statements)
    # The first spot request of an account makes this role: without the right no worker ever starts.
    (spot,) = [each for each in statements if each["Action"] == "iam:CreateServiceLinkedRole"]
    assert spot["Condition"] == {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}


def test_the_page_is_reached_from_no_dead_path():
    for path in re.findall(r"`((?:tests|docker|cluster)/[\w./-]+\.\w+)`", PAGE):
        assert (Path(ROOT) / path).exists(), path
