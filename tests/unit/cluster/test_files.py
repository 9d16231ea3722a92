"""cluster/: Ray's own validation of the AWS file, KubeRay's schemas, and what both must promise."""

import copy
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import botocore.session
import jsonschema
import pytest
import yaml
from botocore.validate import validate_parameters
from made.kuberay_schema import MANIFESTS, TRIMMED, derive, full_schema, manifest, unknown_keys
from packaging.version import Version

import kalshi_platform

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("KALSHI_SHARED", ROOT.parent / "shared")) / "kuberay"
RAY_VERSION = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
KINDS = list(MANIFESTS)
needs_schemas = pytest.mark.skipif(not SHARED.is_dir(), reason=f"KubeRay's schemas are not at {SHARED}")


@pytest.fixture(scope="module")
def aws() -> dict:
    return yaml.safe_load((ROOT / "cluster" / "aws.yaml").read_text())


def test_ray_accepts_the_aws_file_filled_with_its_defaults(aws):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(aws))
    validate_config(prepared)
    assert prepared["available_node_types"]["worker"]["min_workers"] == 0


def test_ray_refuses_the_aws_file_with_a_misspelt_key(aws):
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(jsonschema.ValidationError, match="idle_minutes"):
        validate_config(prepare_config({**copy.deepcopy(aws), "idle_minutes": 5}))


@pytest.mark.parametrize("kind", ["head", "worker", "gpu_learner"])
def test_ec2_knows_every_parameter_of_a_node(aws, kind):
    shape = (
        botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    )
    validate_parameters(
        {**aws["available_node_types"][kind]["node_config"], "MinCount": 1, "MaxCount": 1}, shape
    )


def test_workers_are_spot_and_the_head_is_not(aws):
    types = aws["available_node_types"]
    assert types["worker"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert (types["worker"]["min_workers"], types["gpu_learner"]["min_workers"]) == (0, 0)
    assert aws["max_workers"] == sum(types[name]["max_workers"] for name in ("worker", "gpu_learner"))


def test_nodes_on_aws_ask_for_the_token_and_the_head_listens_on_loopback(aws):
    options = aws["docker"]["run_options"]
    assert "--env RAY_AUTH_MODE=token" in options
    assert "--env RAY_AUTH_TOKEN_PATH=/home/ray/secrets/auth_token" in options
    assert aws["file_mounts"]["/home/ray/secrets"] == "~/.ray"
    start = shlex.split(aws["head_start_ray_commands"][-1].partition(";")[2])
    assert "--dashboard-host=127.0.0.1" in start
    for node in aws["available_node_types"].values():
        assert node["node_config"]["SecurityGroupIds"]  # without one Ray opens SSH to every address
        assert node["node_config"]["MetadataOptions"] == {"HttpTokens": "required"}
        assert node["node_config"]["IamInstanceProfile"]["Name"].startswith("kalshi-ray-")


def test_images_on_aws_are_of_the_ray_that_is_tested(aws):
    images = [aws["docker"]["head_image"], aws["docker"]["worker_image"]]
    images.append(aws["available_node_types"]["gpu_learner"]["docker"]["worker_image"])
    assert {re.fullmatch(r"rayproject/ray:(.+)-py311-(cpu|gpu)", image)[1] for image in images} == {
        RAY_VERSION
    }


def test_every_command_of_the_aws_file_is_shell_and_pip_is_held(aws):
    for name in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        for command in aws[name]:
            subprocess.run(["bash", "-n", "-c", command], check=True, timeout=20)
            assert "pip install" not in command or "-c constraints.txt" in command


@pytest.mark.parametrize(
    "path", ["cluster/aws.yaml", *(str(p.relative_to(ROOT)) for p in MANIFESTS.values())]
)
def test_no_key_or_token_is_written_into_a_file(path):
    text = (ROOT / path).read_text()
    assert re.search(r"AKIA[0-9A-Z]{16}|aws_secret_access_key\s*[:=]|\b[0-9a-f]{40,}\b", text) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_fits_the_kept_part_of_kuberays_schema(kind):
    schema = json.loads(TRIMMED.read_text())[kind]
    jsonschema.Draft202012Validator(schema).validate(manifest(kind))
    assert list(unknown_keys(manifest(kind), schema)) == []


def test_a_misspelt_field_and_a_wrong_type_are_found():
    schema = json.loads(TRIMMED.read_text())["RayCluster"]
    made = manifest("RayCluster")
    made["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert list(unknown_keys(made, schema)) == [
        ".spec.workerGroupSpecs[0].template.spec.containers[0].livenesProbe"
    ]
    made["spec"]["authOptions"]["mode"] = "none"
    with pytest.raises(jsonschema.ValidationError, match="none"):
        jsonschema.Draft202012Validator(schema).validate(made)


@needs_schemas
@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_fits_kuberays_full_schema(kind):
    schema = full_schema(SHARED, kind)
    jsonschema.Draft202012Validator(schema).validate(manifest(kind))
    assert list(unknown_keys(manifest(kind), schema)) == []


@needs_schemas
def test_the_kept_part_is_what_the_script_derives():
    assert json.loads(TRIMMED.read_text()) == derive(SHARED)


def cluster_spec(kind: str) -> dict:
    spec = manifest(kind)["spec"]
    return spec if kind == "RayCluster" else spec.get("rayClusterSpec") or spec["rayClusterConfig"]


def pods(kind: str) -> dict[str, dict]:
    """role -> pod spec, the job's submitter included."""
    spec = cluster_spec(kind)
    found = {"head": spec["headGroupSpec"]["template"]["spec"]}
    found |= {g["groupName"]: g["template"]["spec"] for g in spec["workerGroupSpecs"]}
    submitter = manifest(kind)["spec"].get("submitterPodTemplate")
    return found | ({"submitter": submitter["spec"]} if submitter else {})


@pytest.mark.parametrize("kind", KINDS)
def test_pods_are_not_root_and_get_the_memory_they_ask_for(kind):
    for pod in pods(kind).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000  # of docker/Dockerfile
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            resources = container["resources"]
            assert resources["requests"]["memory"] == resources["limits"]["memory"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_ray_pod_is_probed_and_workers_tolerate_spot(kind):
    for role, pod in pods(kind).items():
        if role == "submitter":
            continue
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            program, script, what = pod["containers"][0][probe]["exec"]["command"]
            assert (program, script) == ("python", "/opt/kalshi/healthz.py")
            assert what in ({"head"} if role == "head" else {"node", "serve"})
        taints = {toleration["key"] for toleration in pod.get("tolerations", [])}
        assert ("cloud.google.com/gke-spot" in taints) == (role != "head")


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_and_the_keys_come_from_secrets(kind):
    assert cluster_spec(kind)["authOptions"] == {"mode": "token", "secretName": "kalshi-ray-token"}
    for role, pod in pods(kind).items():
        for variable in pod["containers"][0].get("env", []):
            if variable["name"].startswith("AWS_"):
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "kalshi-object-store", role


@pytest.mark.parametrize("kind", KINDS)
def test_versions_are_those_of_this_package(kind):
    assert cluster_spec(kind)["rayVersion"] == RAY_VERSION
    assert Version(RAY_VERSION) >= Version("2.52")  # the first with tokens
    for pod in pods(kind).values():
        assert pod["containers"][0]["image"].endswith(f":{kalshi_platform.__version__}")


def test_the_job_runs_the_sweep_and_the_service_names_the_application():
    words = shlex.split(manifest("RayJob")["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "tune_experiments.curriculum_sweep"]
    assert words[3::2] == ["--dataset", "--storage", "--registry"]
    assert all(words[n].startswith("s3://") for n in (4, 6, 8))
    from ray.serve.schema import ServeDeploySchema

    served = ServeDeploySchema.model_validate(yaml.safe_load(manifest("RayService")["spec"]["serveConfigV2"]))
    assert [each.import_path for each in served.applications] == ["serve_deployments.app:build"]
