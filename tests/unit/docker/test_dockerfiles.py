"""docker/*.Dockerfile: what hadolint (`make check`) cannot know of this project."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from made.scripts import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kalshi_platform.cli.main import NEEDS

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
    """(INSTRUCTION, rest) of an image's Dockerfile, continued lines joined."""
    text = (ROOT / "docker" / f"{request.param}.Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "")
    found = (line.partition(" ") for line in text.splitlines() if line)
    return [(word, rest.strip()) for word, _, rest in found]


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
    calls = [call for rest in runs for call in rest.split("&&") if "pip install" in call]
    assert len(calls) == 3
    assert all("-c constraints.txt" in call for call in calls)


def test_the_constraints_hold_every_requirement_at_a_version_it_allows():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    held = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    asked = [line for part in PROJECT["optional-dependencies"].values() for line in part]
    for requirement in map(Requirement, PROJECT["dependencies"] + asked):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize(
    ("image", "extras"),
    # A node of a cluster runs sweeps, which track, and `kalshi-platform` with whatever a command needs.
    [("train", {"track", *(extra for needed in NEEDS.values() for extra in needed)}), ("serve", {"serve"})],
)
def test_an_image_installs_the_extras_of_what_it_runs(image, extras):
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text()
    assert set(re.search(r"pip install '\.\[([\w,]+)\]'", text)[1].split(",")) == extras


def test_the_image_that_is_run_has_a_user_a_health_check_and_a_program_but_no_compiler(steps):
    last = last_stage(steps)
    assert re.fullmatch(r"[1-9]\d*(:\d+)?", last["USER"])  # a number, which Kubernetes can check
    assert last["HEALTHCHECK"] != "NONE"
    assert json.loads(last["ENTRYPOINT"])[0] in {*PROJECT["scripts"], "serve"}
    assert not re.search(r"\b(apt|build-essential|gcc|g\+\+|clang|make|cmake)\b", last["RUN"])


def test_the_health_checks_script_is_where_the_image_asks_for_it(steps):
    last = last_stage(steps)
    asked = next(word for word in json.loads(last["HEALTHCHECK"].partition("CMD")[2]) if word.endswith(".py"))
    copied = {word: rest for word, rest in steps if word == "COPY"}["COPY"]
    assert Path(asked).name in copied
    assert str(Path(asked).parent) in copied
