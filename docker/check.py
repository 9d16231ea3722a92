"""Check docker/ without an engine; ``python docker/check.py`` prints problems, exits 0 or 1.

Dry-runs each Dockerfile on an empty file system, instruction by instruction: a COPY must find its sources in
the context that .dockerignore leaves, or in a stage built before; a RUN must be shell that parses, and the
requirements it installs must be held by constraints.txt; an ENTRYPOINT must be a program that something
installed. Reads compose.yaml for what would be published, leaked or unpinned. Is not a build: nothing is
downloaded or executed.
"""

import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
DOCKERFILES: Final = ("docker/train.Dockerfile", "docker/serve.Dockerfile")
COMPOSE: Final = "docker/compose.yaml"
INSTRUCTIONS: Final = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN"),
    *("SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
_COMPILERS: Final = re.compile(r"\b(build-essential|gcc|g\+\+|clang|make|cmake)\b")
_SECRET_NAME: Final = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|ADMIN_USER|ROOT_USER", re.IGNORECASE)
_REQUIRED: Final = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
_PORT: Final = re.compile(r"127\.0\.0\.1:\d+:\d+(/(tcp|udp))?")


@dataclass
class Stage:
    """One stage of a Dockerfile: its base, its name and its instructions as (line, word, rest)."""

    base: str
    name: str
    steps: list[tuple[int, str, str]] = field(default_factory=list)

    def rests(self, word: str) -> list[str]:
        """Rest of every instruction ``word`` of the stage, in order."""
        return [rest for _, each, rest in self.steps if each == word]


def instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Instructions (line, INSTRUCTION, rest) of a Dockerfile.

    Continued lines are joined, comments left out.
    """
    start, parts = 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not parts and not line.strip()):
            continue
        start = start if parts else number
        parts.append(line.rstrip().removesuffix("\\").strip())
        if not line.rstrip().endswith("\\"):
            word, _, rest = " ".join(parts).partition(" ")
            yield start, word.upper(), rest.strip()
            parts = []
    if parts:
        raise ValueError(f"line {start}: the last instruction ends in a backslash")


def stages(text: str) -> list[Stage]:
    """Stages of a Dockerfile; a ValueError names the line that is no instruction."""
    found: list[Stage] = []
    for line, word, rest in instructions(text):
        if word not in INSTRUCTIONS:
            raise ValueError(f"line {line}: {word} is no instruction")
        if word == "FROM":
            base, _, name = re.sub(r"^--platform=\S+\s+", "", rest).partition(" ")
            found.append(Stage(base, re.sub(r"^(?i:as)\s+", "", name.strip())))
        elif found:
            found[-1].steps.append((line, word, rest))
        elif word != "ARG":
            raise ValueError(f"line {line}: {word} before the first FROM")
    if not found:
        raise ValueError("no FROM")
    return found


def ignored(path: str, patterns: list[str]) -> bool:
    """True where .dockerignore keeps ``path`` (relative) out; the last pattern that fits wins."""
    out = False
    for pattern in patterns:
        bare = pattern.removeprefix("!").strip("/")
        parts = path.split("/")
        heads = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        tails = parts if bare.startswith("**/") else heads
        if any(fnmatch.fnmatchcase(each, bare.removeprefix("**/")) for each in tails):
            out = not pattern.startswith("!")
    return out


def ignore_patterns(root: Path) -> list[str]:
    """Lines of .dockerignore that are neither empty nor comments."""
    lines = (root / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def image_problem(image: str, names: set[str]) -> str | None:
    """Reason why ``image`` is not pinned, or None; ``names`` are stages and images built here."""
    if image in names:
        return None
    if "$" in image:
        return f"image {image}: chosen by a variable, so not pinned"
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    if "@sha256:" in image or (tag and re.search(r"\d", tag) and "latest" not in tag):
        return None
    return f"image {image}: pin a release by its tag or digest"


def copy_problems(root: Path, rest: str, earlier: set[str], patterns: list[str]) -> Iterator[str]:
    """Sources of a COPY that are not there: in the context, or in a stage that was not built before."""
    words = shlex.split(rest)
    sources = [w for w in words if not w.startswith("--")][:-1]
    origin = next((w.partition("=")[2] for w in words if w.startswith("--from=")), None)
    if origin is not None:
        if origin not in earlier:
            yield f"COPY --from={origin}: no earlier stage has this name"
        return
    for source in sources:
        if not (root / source).exists():
            yield f"COPY {source}: is not in the checkout"
        elif ignored(source.rstrip("/"), patterns):
            yield f"COPY {source}: kept out of the context by .dockerignore"


def shell_problem(command: str) -> str | None:
    """Complaint of ``sh -n`` about a RUN, or None."""
    done = subprocess.run(
        ["sh", "-n"], input=command, text=True, capture_output=True, timeout=20, check=False
    )
    return done.stderr.strip() or "does not parse" if done.returncode else None


def constraints(root: Path) -> dict[str, str]:
    """Version of each package in constraints.txt, by name."""
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def requirement_problems(root: Path) -> Iterator[str]:
    """Dependencies of the package that constraints.txt does not hold, or holds at a version they refuse."""
    held = constraints(root)
    for text in tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]:
        wanted = Requirement(text)
        version = held.get(canonicalize_name(wanted.name))
        if version is None:
            yield f"constraints.txt: {wanted.name} is not held"
        elif not wanted.specifier.contains(version, prereleases=True):
            yield f"constraints.txt: {wanted.name}=={version} is outside {wanted.specifier}"


def pip_problems(command: str) -> Iterator[str]:
    """``pip install`` calls of a RUN that are not held by constraints.txt."""
    for call in re.split(r"&&|\|\||;", command):
        if "pip install" in call and not re.search(r"(-c|--constraint)[ =]constraints\.txt", call):
            yield f"pip install without -c constraints.txt: {call.strip()}"


def step_problems(
    root: Path, stage: Stage, earlier: set[str], patterns: list[str], *, last: bool
) -> Iterator[str]:
    """Problems of the instructions of one stage, with their line."""
    for line, word, rest in stage.steps:
        found: list[str] = []
        if word == "ADD":
            found.append("ADD: use COPY; a URL or an archive would come in unchecked")
        elif word == "COPY":
            found.extend(copy_problems(root, rest, earlier, patterns))
        elif word == "RUN" and not rest.startswith("["):
            if (said := shell_problem(rest)) is not None:
                found.append(f"RUN: {said}")
            found.extend(pip_problems(rest))
            if last and _COMPILERS.search(rest):
                found.append("RUN: a compiler in the last stage")
        elif word in ("ENV", "ARG"):
            found.extend(
                f"{word} {name}: a secret would stay in the image"
                for name in re.findall(r"([A-Za-z_]+)=", rest)
                if _SECRET_NAME.search(name) and not name.endswith(("_PATH", "_FILE"))
            )
        yield from (f"line {line}: {each}" for each in found)


def last_stage_problems(root: Path, stage: Stage) -> Iterator[str]:
    """Things that the final image lacks: a user that is not root, a health check, a program to start."""
    user = (stage.rests("USER") or ["root"])[-1].partition(":")[0]
    if user in ("root", "0") or not user.isdigit():
        yield f"the last USER is {user}: give a number that is not 0, which Kubernetes can check"
    if not stage.rests("HEALTHCHECK") or stage.rests("HEALTHCHECK")[-1] == "NONE":
        yield "no HEALTHCHECK in the last stage"
    entry = stage.rests("ENTRYPOINT")
    try:
        program = json.loads(entry[-1])[0]
    except (IndexError, ValueError):
        yield "ENTRYPOINT: give a JSON list, so that signals reach the program"
        return
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    if program not in {*scripts, "python", "ray", "serve", "mlflow"}:
        yield f"ENTRYPOINT {program}: nothing in the image installs it"


def dockerfile_problems(text: str, root: Path = ROOT) -> list[str]:
    """Every problem of a Dockerfile whose context is ``root``."""
    try:
        found = stages(text)
    except ValueError as error:
        return [str(error)]
    problems, earlier, patterns = [], set[str](), ignore_patterns(root)
    for stage in found:
        if (said := image_problem(stage.base, earlier)) is not None:
            problems.append(said)
        problems.extend(step_problems(root, stage, earlier, patterns, last=stage is found[-1]))
        earlier.add(stage.name)
    return [*problems, *last_stage_problems(root, found[-1]), *requirement_problems(root)]


def files_of(service: dict[str, Any]) -> Iterator[str]:
    """Paths on this machine that a service refers to, relative to docker/."""
    for volume in service.get("volumes", []):
        if volume.startswith("."):
            yield volume.partition(":")[0]
    if build := service.get("build"):
        yield f"{build['context']}/{build['dockerfile']}"


def secret_problems(name: str, service: dict[str, Any]) -> Iterator[str]:
    """Literal credentials in the environment of a service; ``${NAME:?message}`` is the only way in."""
    for key, value in service.get("environment", {}).items():
        secret = _SECRET_NAME.search(key) and not key.endswith(("_PATH", "_FILE"))
        if secret and not _REQUIRED.fullmatch(str(value)):
            yield f"{name}: {key} must be ${{NAME:?message}}, not written out nor allowed to be empty"


def service_problems(name: str, service: dict[str, Any], doc: dict[str, Any], root: Path) -> Iterator[str]:
    """Problems of one service of compose.yaml."""
    built = {each["image"] for each in doc["services"].values() if "build" in each}
    if (said := image_problem(service.get("image", ""), built)) is not None:
        yield f"{name}: {said}"
    for port in service.get("ports", []):
        if not isinstance(port, str) or not _PORT.fullmatch(port):
            yield f"{name}: port {port!r} must be 127.0.0.1:host:container"
    yield from secret_problems(name, service)
    for path in files_of(service):
        if not (root / "docker" / path).exists():
            yield f"{name}: {path} is not there"
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        if not source.startswith((".", "/")) and source not in doc.get("volumes", {}):
            yield f"{name}: volume {source} is not declared"
    if "restart" not in service:
        yield f"{name}: no restart policy"
    if not str(service.get("restart", "")).startswith("on-failure") and "healthcheck" not in service:
        yield f"{name}: no healthcheck"
    for other, how in service.get("depends_on", {}).items():
        if other not in doc["services"]:
            yield f"{name}: depends on {other}, which is no service"
        elif how["condition"] == "service_healthy" and "healthcheck" not in doc["services"][other]:
            yield f"{name}: waits for the health of {other}, which has no healthcheck"


def compose_problems(text: str, root: Path = ROOT) -> list[str]:
    """Every problem of a compose file that lies in ``root``/docker."""
    doc = yaml.safe_load(text)
    problems = [p for name, each in doc["services"].items() for p in service_problems(name, each, doc, root)]
    for name, secret in doc.get("secrets", {}).items():
        if not _REQUIRED.fullmatch(str(secret.get("file", ""))):
            problems.append(f"secret {name}: its file must be ${{NAME:?message}}")
    offered = set(re.findall(r"^([A-Z_]+)=", (root / "docker" / ".env.example").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
    problems += [f".env.example: {name} is missing" for name in sorted(asked - offered)]
    problems += [f".env.example: {name} is not used" for name in sorted(offered - asked)]
    return problems


def main() -> int:
    """Check every file and print the problems; returns the exit status."""
    problems = [f"{n}: {p}" for n in DOCKERFILES for p in dockerfile_problems((ROOT / n).read_text())]
    problems += [f"{COMPOSE}: {problem}" for problem in compose_problems((ROOT / COMPOSE).read_text())]
    print("\n".join(problems) or f"checked {', '.join((*DOCKERFILES, COMPOSE))}: no problem")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
