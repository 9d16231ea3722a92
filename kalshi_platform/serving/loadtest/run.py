"""Load test of a running server: an open loop of POST /v1/decide, or of frames through /v1/stream.

    python -m kalshi_platform.serving.loadtest.run < config.json > result.json

The generator is a process of its own (``run_load`` starts it), so that it shares no interpreter lock with
whoever reads the result; it keeps connections alive and switches the garbage collector off while it sends.

Not        Ray, and nothing of the server's code: it speaks HTTP and WebSocket only.
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.errors import ContractError, DataError, ExitCode, PlatformError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.serving.api.tokens import bearer, read_token
from kalshi_platform.serving.loadtest.bodies import Bodies, read_bodies, varied_bodies
from kalshi_platform.serving.loadtest.connections import Connections, connected
from kalshi_platform.serving.loadtest.open_loop import Attempt, Sender, arrivals_ns, open_loop
from kalshi_platform.serving.loadtest.result import (
    ANSWERED,
    AskedModel,
    LoadConfig,
    LoadResult,
    SentRows,
    summarise,
)
from kalshi_platform.serving.loadtest.stream import open_stream, stream_lines, stream_loop

DECIDE: Final = "/v1/decide"
EXAMPLE: Final = "/v1/example?packed=true"
MODEL: Final = "/v1/model"
HEALTH: Final = "/v1/healthz"
#: Dataset of ``make run``, whose rows are sent where nobody names others and the served model knows it.
USUAL_DATASET: Final = Path("runs/quickstart/dataset")
#: Time between the end of the preparations and the first request.
_LEAD_NS: Final = 200_000_000
#: Seconds that a generator may take beside the test itself: start, example, the last answers.
_SPARE_S: Final = 120.0
#: Exit code of the generator -> the error it stands for.
_REFUSALS: Final = {int(kind.exit_code): kind for kind in (ContractError, DataError)}


class HttpSender:
    """One POST a request, over connections that are kept; any number of them at once."""

    def __init__(self, connections: Connections, url: str, bodies: Bodies) -> None:
        """``url`` is the server's; request ``k`` goes over connection ``k`` in turn."""
        self._connections, self._bodies = connections, bodies
        self._url = url.rstrip("/") + DECIDE
        self._headers = {"Content-Type": "application/json"}

    async def ask(self, k: int) -> tuple[int, bytes]:
        """Send request ``k``; returns the (status, body) of its answer."""
        session = self._connections.of(k)
        async with session.post(self._url, data=self._bodies.of(k), headers=self._headers) as answer:
            return answer.status, await answer.read()

    def judge(self, answer: tuple[int, bytes]) -> Attempt:
        """Outcome of an answer: answered where the status is 200 and the body is JSON, else the failure."""
        status, body = answer
        if status != 200:
            return Attempt(f"status_{status}")
        try:
            return read_answer(json_value(body))
        except ValueError:
            return Attempt("not_json")

    def failure(self, error: Exception) -> str:
        """Name of the kind of a failure to get any answer."""
        return failure_kind(error)


def read_answer(answer: Any) -> Attempt:
    """Read who decided an answer's groups ("mixed": several tiers), its notes, and the server's timings."""
    groups = answer.get("groups") if isinstance(answer, dict) else None
    if not isinstance(groups, list) or not groups:
        return Attempt(ANSWERED)
    tiers = {str(group.get("tier", "")) for group in groups}
    notes = sorted({str(note) for group in groups for note in group.get("notes", ())})
    timings = {str(stage): float(ms) for stage, ms in answer.get("timings_ms", {}).items()}
    return Attempt(ANSWERED, tiers.pop() if len(tiers) == 1 else "mixed", tuple(notes), timings)


def failure_kind(error: Exception) -> str:
    """Short name of the reason why no answer came."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no_connection"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return "disconnected"
    return type(error).__name__


async def fetch_example(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Fetch the server's own example of a request; ContractError says what stands in the way."""
    place = f"{url.rstrip('/')}{EXAMPLE}"
    status, text = await _get(session, url, place)
    if status in (401, 403):
        raise ContractError(f"{place}: status {status}; give the file of a client token with --token-file")
    if status != 200:
        raise ContractError(f"{place}: status {status}: {text[:200]}; or give bodies with --bodies")
    found = _value(place, text)
    if not isinstance(found, dict):
        raise ContractError(f"{place}: the example is {type(found).__name__}, not a JSON object")
    return found


async def fetch_model(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    """Fetch the server's description of its model; None where it gives none.

    ContractError without a server, or where it wants a token.
    """
    place = f"{url.rstrip('/')}{MODEL}"
    status, text = await _get(session, url, place)
    if status in (401, 403):
        raise ContractError(f"{url}: status {status}; give the file of a client token with --token-file")
    found = _value(place, text) if status == 200 else None
    return found if isinstance(found, dict) else None


def _value(place: str, text: str) -> Any:
    """Value of an answer; ContractError where it is no JSON."""
    try:
        return json_value(text)
    except ValueError as err:
        raise ContractError(f"{place}: the answer is no JSON ({err}): is it another server?") from None


async def _get(session: aiohttp.ClientSession, url: str, place: str) -> tuple[int, str]:
    try:
        async with session.get(place) as answer:
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as err:
        raise ContractError(
            f"{url}: no server answers ({err or type(err).__name__}); start one with "
            "`kalshi-platform serve`, or correct --url"
        ) from None


async def generate(config: LoadConfig) -> LoadResult:
    """Run the test in this process and return its result."""
    headers = bearer(read_token(config.token_file))
    if config.stream is not None:
        return await _measure_stream(config, headers, config.stream)
    async with connected(config, headers) as connections:
        session = connections.of(0)
        info = await fetch_model(session, config.url)
        bodies, rows = await _bodies(config, session, info)
        await connections.open_all(config.url.rstrip("/") + HEALTH)
        found = await measure(config, HttpSender(connections, config.url, Bodies(bodies)))
        return found.replace(rows=rows.model_dump(), model=_asked_model(info), reopened=connections.reopened)


async def _bodies(
    config: LoadConfig, session: aiohttp.ClientSession, info: Mapping[str, Any] | None
) -> tuple[Iterable[dict[str, Any]], SentRows]:
    """Bodies to send and where they are from: a file, a dataset, else the server's example, varied."""
    n = min(config.bodies, config.n_requests_about + 1)
    if config.bodies_file is not None:
        read = read_bodies(config.bodies_file, config.bodies)
        return read, SentRows(kind="file", words=f"{len(read):,} bodies of {config.bodies_file}")
    place, why = (config.dataset, "") if config.dataset is not None else usual_dataset(info)
    if place is not None:
        if info is None:
            raise ContractError(
                f"{config.url}{MODEL} does not describe the served model, so nobody can say which rows of "
                f"{place} it reads: leave --dataset away"
            )
        from kalshi_platform.serving.loadtest.dataset_rows import dataset_rows  # noqa: PLC0415 (replay: seconds)

        found = dataset_rows(place, config.split, info, n)
        return found.bodies, found.said
    example = await fetch_example(session, config.url)
    words = f"synthetic rows: the server's example, its numbers varied at random{why}"
    return varied_bodies(example, n, config.vary, config.seed), SentRows(kind="synthetic", words=words)


def usual_dataset(info: Mapping[str, Any] | None) -> tuple[str | None, str]:
    """(dataset of ``make run`` where the served model was trained on it, else None; why it is not used)."""
    if not USUAL_DATASET.exists():
        return None, ""
    trained_on = (info or {}).get("dataset_digest")
    try:
        manifest = Dataset.open(str(USUAL_DATASET)).manifest
    except PlatformError as err:
        return None, f" ({USUAL_DATASET} cannot be used: {err})"
    if trained_on is None or not manifest.descends_from(trained_on):
        return None, f" ({USUAL_DATASET} is not the dataset of the served model)"
    return str(USUAL_DATASET), ""


def _asked_model(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Fields of an AskedModel as the server told them."""
    if info is None or "model" not in info:
        return None
    return {name: info[name] for name in AskedModel.model_fields if name in info}


async def measure(config: LoadConfig, sender: Sender) -> LoadResult:
    """Send the requests of ``config`` by ``sender`` in this process and return their figures."""
    offsets_ns = arrivals_ns(config)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with _no_collection():
        start_ns = time.perf_counter_ns() + _LEAD_NS
        timings = await open_loop(start_ns + offsets_ns, sender, config.max_in_flight)
    return _told(summarise(config, start_ns, timings), started)


async def _measure_stream(config: LoadConfig, headers: Mapping[str, str], capture: Path) -> LoadResult:
    offsets_ns = arrivals_ns(config)
    lines = stream_lines(capture, len(offsets_ns))
    async with open_stream(config, headers) as (socket, first_frame):
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with _no_collection():
            start_ns = time.perf_counter_ns() + _LEAD_NS
            times = await stream_loop(start_ns + offsets_ns, lines, socket, first_frame, config.timeout_s)
    timings, quiet = times.timings()
    rows = SentRows(kind="capture", words=f"frames of {capture}")
    found = summarise(config, start_ns, timings).replace(quiet=quiet, rows=rows.model_dump())
    return _told(found, started)


def _told(found: LoadResult, started: str) -> LoadResult:
    return found.replace(started=started, commit=git_commit() or "")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Switch this process's garbage collector off inside the block, so that it makes no pause."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_load(config: LoadConfig) -> LoadResult:
    """Run the test in a process of its own; a ContractError or DataError there is raised here."""
    limit_s = config.warm_up_s + config.duration_s + config.timeout_s + _SPARE_S
    command = [sys.executable, "-m", "kalshi_platform.serving.loadtest.run"]
    try:
        done = subprocess.run(
            command, input=config.model_dump_json(), capture_output=True, text=True, check=False,
            timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PlatformError(f"the load generator did not end within {limit_s:.0f} s") from None
    if done.returncode == ExitCode.DONE:
        return LoadResult.model_validate_json(done.stdout)
    said = done.stderr.strip() or f"ended with exit code {done.returncode}"
    if (kind := _REFUSALS.get(done.returncode)) is not None:
        raise kind(said)
    raise PlatformError(f"the load generator failed: {said[-2_000:]}")


def main() -> int:
    """Read a LoadConfig from stdin, write a LoadResult to stdout; returns the exit code."""
    try:
        config = LoadConfig.model_validate_json(sys.stdin.read())
        result = asyncio.run(generate(config))
    except PlatformError as err:
        sys.stderr.write(f"{err}\n")
        return int(err.exit_code)
    sys.stdout.write(result.model_dump_json() + "\n")
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main())
