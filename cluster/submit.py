"""Submit an experiment of ``tune_experiments`` to a Ray cluster, follow it, and exit with its status.

    python cluster/submit.py curriculum_sweep -- --dataset s3://bucket/data --storage s3://bucket/sweeps/first

Owns: the checks before a byte is uploaded (address, token, experiment, size, that the cluster answers, asks
for the token and runs this Ray), the selection of what is uploaded (the packages a job imports, nothing
else), and the exit status. Is not: a launcher of clusters (docs/cluster.md), nor a copy of ``ray job``, which
follows and stops running jobs.

Exit status: the job's own where it ran to an end; 1 if it was stopped or never started; 2 wrong call, address
or token; 130 interrupted while following (the job goes on).
"""

import argparse
import asyncio
import http.client
import json
import os
import re
import shlex
import sys
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.commit import COMMIT_VARIABLE, git_commit
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.hidden_user import holds_password, shown_address, without_users
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.ray_token import token_of

# What the driver and the workers import. Everything else stays at home: data, runs, tests, secrets.
NEEDED: Final = (
    "kalshi_platform",
    "tune_experiments",
    "serve_deployments",
    "pyproject.toml",
    "constraints.txt",
)
EXCLUDED_ANYWHERE: Final = ("__pycache__", "*.pyc", "*.nbi", "*.nbc")
MAX_UPLOAD_BYTES: Final = 50 * 2**20
#: The job's shell gets it as one word, of which Linux takes 128 KiB.
MAX_ENTRYPOINT_BYTES: Final = 100_000
TIMEOUT_S: Final = 10.0
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
INTERRUPTED: Final = 130

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_SECRET: Final = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|ACCESS_?KEY|API_?KEY|PRIVATE|(^|_)(KEY|PWD|PASS|AUTH)$",
    re.IGNORECASE,
)
_ADVICE: Final = (
    "the dashboard shows what a job is given; let nodes have secrets by instance profile, service account or "
    "secretKeyRef"
)


@dataclass(frozen=True)
class Submission:
    """A job to send: ``entrypoint`` is a shell command run in the uploaded copy of ``working_dir``."""

    address: str
    entrypoint: str
    working_dir: str
    excludes: tuple[str, ...]
    env: dict[str, str]

    def runtime_env(self) -> dict[str, Any]:
        """Ray's description of the job's environment."""
        return {
            "working_dir": self.working_dir,
            "excludes": list(self.excludes),
            "env_vars": {"RAY_USAGE_STATS_ENABLED": "0", **self.env},
        }


def address_of(given: str | None, environ: dict[str, str], *, allow_remote: bool = False) -> str:
    """The address of the Jobs API: ``given``, else RAY_API_SERVER_ADDRESS, else RAY_ADDRESS.

    Raises ContractError: none given, not ``http(s)://host:port``, or plain HTTP to another machine, which
    would show the token to everybody on the way.
    """
    sources = (
        ("--address", given),
        *((n, environ.get(n)) for n in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")),
    )
    name, text = next(((n, t.strip()) for n, t in sources if t and t.strip()), ("", ""))
    advice = (
        "give --address http://127.0.0.1:8265, after `ray dashboard cluster/aws.yaml` or kubectl port-forward"
    )
    if not text:
        raise ContractError(
            f"no address: --address, RAY_API_SERVER_ADDRESS and RAY_ADDRESS are empty; {advice}"
        )
    parts, shown = urlsplit(text if "://" in text else f"//{text}"), shown_address(text)
    if parts.scheme not in ("http", "https"):
        raise ContractError(
            f"{name} {shown!r}: jobs go to the dashboard's http:// address, not to another port; {advice}"
        )
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path not in ("", "/") or parts.query or "@" in text:
        raise ContractError(f"{name} {shown!r}: expected http://host:port and nothing more; {advice}")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_remote:
        raise ContractError(
            f"{name} {text!r}: plain http to another machine shows the token to the network; tunnel to "
            "127.0.0.1, use https, or say --allow-remote-http inside a network you trust"
        )
    return text.rstrip("/")


def entrypoint_of(experiment: str, arguments: list[str], working_dir: Path) -> str:
    """The shell command that runs ``experiment``; raises ContractError where there is no such experiment."""
    folder = working_dir / "tune_experiments"
    there = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    if not _NAME.fullmatch(experiment) or experiment not in there:
        raise ContractError(
            f"experiment {experiment!r}: not in {folder}; there are: {', '.join(there) or 'none'}"
        )
    if strange := next((word for word in arguments if "\0" in word or not _is_text(word)), None):
        raise ContractError(f"argument {shown_value(strange)}: holds a byte that no command line can carry")
    if (number := next((k for k, word in enumerate(arguments, 1) if holds_password(word)), 0)) > 0:
        raise ContractError(f"argument {number} after --: holds a password in an address; {_ADVICE}")
    command = shlex.join(["python", "-m", f"tune_experiments.{experiment}", *arguments])
    if (n_bytes := len(command.encode())) > MAX_ENTRYPOINT_BYTES:
        raise ContractError(
            f"the job's command line has {n_bytes:,} bytes, at most {MAX_ENTRYPOINT_BYTES:,} can be started: "
            "give fewer settings, or write an experiment of your own"
        )
    return command


def _is_text(word: str) -> bool:
    """True where ``word`` can be written as UTF-8."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def excludes_of(working_dir: Path) -> tuple[str, ...]:
    """Patterns (as in a .gitignore) that leave only NEEDED of ``working_dir``."""
    return (
        *(f"/{p.name}" for p in sorted(working_dir.iterdir()) if p.name not in NEEDED),
        *EXCLUDED_ANYWHERE,
    )


def check_size(working_dir: Path) -> int:
    """Number of bytes to upload; a ContractError names the largest files above MAX_UPLOAD_BYTES."""
    sizes = {
        path: path.stat().st_size
        for name in NEEDED
        for path in [working_dir / name, *(working_dir / name).rglob("*")]
        if path.is_file() and not any(path.match(p) or p in path.parts for p in EXCLUDED_ANYWHERE)
    }
    total = sum(sizes.values())
    if total > MAX_UPLOAD_BYTES:
        largest = ", ".join(
            str(p.relative_to(working_dir)) for p in sorted(sizes, key=lambda p: -sizes[p])[:3]
        )
        raise ContractError(
            f"working dir {working_dir}: {total >> 20} MiB to upload, at most {MAX_UPLOAD_BYTES >> 20}; "
            f"largest: {largest}; data belongs into object storage"
        )
    return total


def env_of(assignments: list[str]) -> dict[str, str]:
    """``NAME=value`` pairs for the job; names of secrets are refused: the dashboard shows values."""
    found: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ContractError(f"--env {name!r}: expected NAME=value")
        if _SECRET.search(name):
            raise ContractError(f"--env {name}: {_ADVICE}")
        if holds_password(value):
            raise ContractError(f"--env {name}: holds a password in an address; {_ADVICE}")
        if "\0" in value or not _is_text(value):
            raise ContractError(f"--env {name}: holds a byte that no environment can carry")
        found[name] = value
    return found


def check_cluster(address: str, token: str | None) -> str:
    """Version of the cluster's Ray; ContractError unless it answers, accepts the token and runs this Ray.

    A cluster that answers without a token takes jobs from anybody who reaches it: refused, unless ``token``
    is None (--no-auth), which in turn is refused by a cluster that asks for one.
    """
    import ray  # noqa: PLC0415  # seconds; a wrong call is refused without it

    open_status, body = _get(f"{address}/api/version", None)
    if token is None and open_status in (401, 403):
        raise ContractError(f"{address}: the cluster asks for a token; leave --no-auth out")
    if token is not None:
        if open_status == 200:
            raise ContractError(
                f"{address}: the cluster takes jobs without a token, from anybody who reaches it; start it "
                "with RAY_AUTH_MODE=token, or say --no-auth for one on this machine"
            )
        status, body = _get(f"{address}/api/version", token)
        if status in (401, 403):
            raise ContractError(
                f"{address}: the token was refused ({status}); copy the one this cluster started with"
            )
        open_status = status
    try:
        version = json_value(body)["ray_version"] if open_status == 200 else None
    except (ValueError, KeyError, TypeError):
        version = None
    if not isinstance(version, str):
        raise ContractError(
            f"{address}: answered {open_status}, not as a Ray dashboard does; is it another server?"
        )
    if version != ray.__version__:
        raise ContractError(
            f"{address}: the cluster runs Ray {version}, this machine {ray.__version__}; make them equal"
        )
    return version


def _get(url: str, token: str | None) -> tuple[int, bytes]:
    """Status and body of a GET, or ContractError; neither proxy nor redirect sees the token."""
    request = urllib.request.Request(url)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=TIMEOUT_S
        ) as answer:
            return answer.status, answer.read(100_000)
    except urllib.error.HTTPError as error:
        return error.code, b""
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ContractError(
            f"{url}: no answer ({reason}); is the cluster up, and the tunnel open (`ray dashboard`, "
            "kubectl port-forward)?"
        ) from None
    except (http.client.HTTPException, UnicodeError) as error:
        reason = bounded_message(" ".join(f"{type(error).__name__}: {error}".split()), 150)
        raise ContractError(
            f"{url}: no answer of a Ray dashboard ({reason}); is it another server?"
        ) from None


def exit_status_of(status: str, driver_exit_code: int | None) -> int:
    """Exit status: 0 for a job that succeeded, its driver's own where it failed, 1 where it was stopped."""
    if status == "SUCCEEDED":
        return 0
    return driver_exit_code if driver_exit_code and 0 < driver_exit_code < 256 else 1


async def _follow(client: Any, job: str, into: Any) -> None:
    async for text in client.tail_job_logs(job):
        print(text, end="", file=into, flush=True)


def parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    made = argparse.ArgumentParser(
        prog="cluster/submit.py",
        usage="%(prog)s [options] experiment [-- its arguments]",
        description="Submit an experiment to a Ray cluster and exit with its status.",
    )
    made.add_argument("experiment", help="a file of tune_experiments, without .py")
    made.add_argument("--address", help="http://host:port; else RAY_API_SERVER_ADDRESS, RAY_ADDRESS")
    made.add_argument(
        "--working-dir", type=Path, default=Path(), help="checkout to run (default: this folder)"
    )
    made.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="variable of the job; repeat"
    )
    made.add_argument("--no-wait", action="store_true", help="do not follow; exit 0 once the job is accepted")
    made.add_argument(
        "--dry-run", action="store_true", help="check everything that needs no cluster, submit nothing"
    )
    made.add_argument(
        "--no-auth", action="store_true", help="for a cluster on this machine that asks for no token"
    )
    made.add_argument("--allow-remote-http", action="store_true", help="plain http beyond this machine")
    made.add_argument(
        "--json", action="store_true", help="one JSON object on stdout at the end; logs on stderr"
    )
    return made


def parse(words: list[str]) -> argparse.Namespace:
    """Options of the command line; the words after the first ``--`` stay untouched in ``arguments``."""
    cut = words.index("--") if "--" in words else len(words)
    return parser().parse_args(words[:cut], argparse.Namespace(arguments=words[cut + 1 :]))


def plan(options: argparse.Namespace, environ: dict[str, str], home: Path) -> tuple[Submission, str | None]:
    """Plan a submission without the network; returns it with the token (None with --no-auth), or refuses."""
    address = address_of(options.address, environ, allow_remote=options.allow_remote_http)
    if options.no_auth and urlsplit(address).hostname not in LOOPBACK:
        raise ContractError(f"--no-auth: only for a cluster on this machine, not {address}")
    token = None if options.no_auth else token_of(environ, home)
    working_dir = options.working_dir.resolve()
    if not working_dir.is_dir():
        raise ContractError(f"--working-dir {working_dir}: is no folder")
    entrypoint = entrypoint_of(options.experiment, options.arguments, working_dir)
    check_size(working_dir)
    # The copy that is uploaded is no checkout: what runs there could not say which commit it is.
    commit = git_commit()
    env = ({COMMIT_VARIABLE: commit} if commit else {}) | env_of(options.env)
    return Submission(address, entrypoint, str(working_dir), excludes_of(working_dir), env), token


def submit(submission: Submission, token: str | None, *, wait: bool, as_json: bool) -> int:
    """Send ``submission``, say how to follow it, and follow it; returns the exit status."""
    say = sys.stderr if as_json else sys.stdout
    # Ray reads mode and token from the environment once, when it is imported.
    os.environ["RAY_AUTH_MODE"] = "token" if token else "disabled"
    if token:
        os.environ["RAY_AUTH_TOKEN"] = token
    version = check_cluster(submission.address, token)
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

    client = JobSubmissionClient(submission.address)
    job = client.submit_job(entrypoint=submission.entrypoint, runtime_env=submission.runtime_env())
    at = f"--address {submission.address}"
    print(f"submitted {job} to {submission.address} (Ray {version}): {submission.entrypoint}", file=say)
    for verb, command in (("follow", "logs --follow"), ("state", "status"), ("stop", "stop")):
        print(f"  {verb:<7}ray job {command} {at} {job}", file=say, flush=True)
    result: dict[str, Any] = {"job": job, "status": "SUBMITTED", "exit_status": 0, "message": ""}
    if wait:
        try:
            asyncio.run(_follow(client, job, say))
        except KeyboardInterrupt:
            print(f"\nno longer following {job}; it goes on", file=sys.stderr)
            return INTERRUPTED
        info = client.get_job_info(job)
        status = info.status.value
        result |= {
            "status": status,
            "exit_status": exit_status_of(status, info.driver_exit_code),
            "message": info.message or "",
        }
        print(f"{job}: {status}, exit status {result['exit_status']}", file=say)
    if as_json:
        print(json.dumps({**result, "address": submission.address, "entrypoint": submission.entrypoint}))
    return int(result["exit_status"])


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status; errors go to stderr in plain words."""
    options = parse(arguments)
    try:
        submission, token = plan(options, dict(os.environ), Path.home())
        if options.dry_run:
            print(
                json.dumps(asdict(submission)) if options.json else f"would submit: {submission.entrypoint}"
            )
            return 0
        return submit(submission, token, wait=not options.no_wait, as_json=options.json)
    except PlatformError as error:
        print(f"submit: {bounded_message(without_users(str(error)))}", file=sys.stderr)
        return int(error.exit_code)
    # What Ray's client raises, and the two libraries below it, whose errors are OSError or ClientError.
    except (RuntimeError, OSError, aiohttp.ClientError) as error:
        told = bounded_message(without_users(str(error)), 350)
        print(
            f"submit: the cluster refused or left: {told}; where its head was lost, "
            "submit a sweep again to the new head with --resume",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
