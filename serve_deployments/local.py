"""Run the application on this machine, with a Ray of its own, until Ctrl-C.

Owns       Ray's and HAProxy's switches, the start, the wait until every tier answers, and a clean end.
Invariant  without tokens the service listens on loopback only; tokens come from files.
Imports    of Ray, and of modules that need Ray, stand inside the functions: Ray reads its switches when it is
           imported, and they must be set before.
Not        a cluster: there ``serve deploy serve_deployments/configs/cluster.yaml`` starts the same
           application.
"""

# ruff: noqa: PLC0415

import asyncio
import errno
import logging
import math
import os
import secrets
import shlex
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, Final

import aiohttp

from kalshi_platform.domain.ending import ENDS, raise_on_termination
from kalshi_platform.domain.errors import ContractError, LimitError, PlatformError
from kalshi_platform.domain.family import descendants
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.listening import listeners, words
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.quiet_ray import start_ray
from kalshi_platform.models.registry.flaws import FITNESS_WORDS, Fitness
from kalshi_platform.models.registry.marks import marks_of
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from kalshi_platform.models.registry.tiers import newest_tier_set
from kalshi_platform.serving.inference.saving import first_asked_words
from kalshi_platform.serving.server.args import PolicyAppArgs, require_model
from kalshi_platform.serving.server.gate import AccessArgs
from serve_deployments import private_folder
from serve_deployments.front import FrontBounds
from serve_deployments.open_files import require_open_files
from serve_deployments.receiving import PROXY_SWITCH, RECEIVE_SWITCH
from serve_deployments.saying import say
from serve_deployments.stopping import stop
from serve_deployments.token_files import require_safe, require_tokens, say_exposed

#: Longest wait for a first decision: Ray's processes, the model, its kernels.
START_S: Final = 180.0
#: Above those that Ray gives its workers, below those that Linux, macOS and Windows hand out by themselves.
_PORTS: Final = range(20_000, 32_768)
_CLAIMED: Final[set[int]] = set()  # ports that this process was given
#: Seconds that Serve gives its proxy before it counts a failure; at a load of 16 on two cores 15 s passed.
_PROXY_S: Final = 60
#: Seconds that a stopping replica waits for requests in flight; Serve's 30 s suit a cloud's load balancer.
_DRAIN_S: Final = "1"
#: Ray's variable of the niceness of its workers. By itself it takes 15: beside any other busy process a
#: replica got a fiftieth of a processor then, and HAProxy, which a worker starts, no more.
NICENESS: Final = "RAY_worker_niceness"
#: Shell command that prints the first line that is neither empty nor a comment.
_FIRST_TOKEN: Final = "grep -m 1 -vE '^[[:space:]]*(#|$)'"


def alias_to_serve(registry: str | None, model: str | None) -> tuple[str, str]:
    """Return the alias to serve, and a warning where its model is no champion judged on real data (else "").

    ``model`` names the alias. Without it this is the champion or, where the registry has none, the
    challenger: on a developer's machine a model that no gate has passed is worth looking at. A challenger
    that does not trade, or whose checkup found an error, is served so only where the registry holds no model
    without one: else LimitError names that model. Where the registry has neither alias, the start refuses the
    champion (:func:`require_model`).
    """
    store = Registry(registry)
    log = store.aliases()
    alias = model
    if alias is None:
        alias = CHALLENGER if log.model(CHAMPION) is None and log.model(CHALLENGER) is not None else CHAMPION
    found = log.model(alias)
    if found is None:
        return alias, ""
    record = store.record(found)
    if model is None and alias == CHALLENGER:
        _refuse_for_a_better_one(store, record)
    said = list(marks_of(record, log, alias).cautions)
    if model is None and alias == CHALLENGER:
        said.insert(0, "no champion here: serving the challenger")
    return alias, f"{found}: {'; '.join(said)}" if said else ""


def _refuse_for_a_better_one(store: Registry, record: ModelRecord) -> None:
    """Raise LimitError where the challenger ``record`` is flawed and ``store`` holds a model that is not."""
    flawed = FITNESS_WORDS.get(record.fitness)
    if flawed is None:
        return
    sound = [other for other in store.models() if other.fitness is Fitness.SOUND]
    if sound:
        where = ("--registry", store.uri)
        raise LimitError(
            f"no champion here, and the challenger {record.id} is not served without being named: {flawed}. "
            f"{sound[-1].id} is the better one: "
            f"{command_line('models', 'promote', sound[-1].id, '--alias', CHALLENGER, *where)}; or serve the "
            f"challenger as it is: {command_line('serve', '--model', CHALLENGER, *where)}"
        )


def switches(host: str, *, ha_proxy: bool, bounds: FrontBounds | None = None) -> dict[str, str]:
    """Environment variables of Ray Serve; HAProxy gets free ports, so that two services can run.

    ``bounds`` (None: the usual ones) are written into HAProxy's configuration. ContractError where nothing
    can be run from the temporary folder.
    """
    common = {
        "RAY_USAGE_STATS_ENABLED": "0",
        NICENESS: os.environ.get(NICENESS, "0"),
        "RAY_SERVE_LOG_TO_STDERR": "0",  # the folder of its logs keeps everything
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": _DRAIN_S,
        # Serve kills a proxy that is not up after the third look: by itself it looks after 5 s each.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": str(_PROXY_S),
    }
    if not ha_proxy:
        return {**common, **PROXY_SWITCH}
    ports = ("HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT", "FALLBACK_PROXY_HTTP_PORT")
    return {
        **common,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # Where a replica dies without an answer, HAProxy asks another one: deciding twice changes nothing.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        **{f"RAY_SERVE_{name}": str(free_port(host)) for name in ports},
        **private_folder.switches(private_folder.make(), bounds or FrontBounds()),
        **RECEIVE_SWITCH,
    }


def serve_here(
    args: PolicyAppArgs, host: str, port: int, *, ha_proxy: bool, metrics_port: int | None = None
) -> None:
    """Start, wait until every tier answers, print a curl line, and serve until Ctrl-C or SIGTERM.

    ``metrics_port`` is where Ray exports the metrics; None lets Ray choose.
    """
    _end_by_signals()
    ours = switches(host, ha_proxy=ha_proxy, bounds=FrontBounds(**args.limits.proxy.model_dump()))
    # An operator's own switches hold; their HAProxy is started by the launcher.
    kept = os.environ.keys() - {private_folder.BINARY}
    os.environ.update({name: value for name, value in ours.items() if name not in kept})
    require_open_files(os.environ)
    begun_s = time.monotonic()
    with Running(args, host, port, metrics_port) as running:
        say(f"Serve runs after {time.monotonic() - begun_s:.1f} s; waiting for every tier")
        model = running.wait_ready(START_S)
        say(f"ready after {time.monotonic() - begun_s:.1f} s")
        print(f"{running.url} serves {model}", flush=True)
        with suppress(PlatformError):  # a registry that is away now is an event of the replica
            inside_ms = args.tier_3_inside_ms if args.tier_3 else math.inf
            say(first_asked_words(newest_tier_set(Registry(args.registry), model), inside_ms))
            if (named := Registry(args.registry).aliases().model(args.model)) != model:
                say(f"{args.model} names {named}, which is not served: GET /v1/models/events says why")
            if unseen := no_shadow_words(Registry(args.registry), args.shadow, model):
                say(unseen)
        print(curl_line(running.url, args.access), flush=True)
        print(f"metrics: {running.metrics_url()}", flush=True)
        say(f"listens: {words(listeners(descendants()))}")
        if args.access.admin_token_file is not None:
            print(f"token of reload and rollback: {args.access.admin_token_file}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            say("stopping")


def no_shadow_words(registry: Registry, shadow: str | None, served: str) -> str:
    """Say why the alias ``shadow`` lets no model decide beside ``served`` now; empty where one may."""
    if shadow is None:
        return ""
    named = registry.aliases().model(shadow)
    later = f"one that is promoted to {shadow} later decides from then on"
    if named is None:
        return f"warning: no model decides beside the served one: {registry.lacks(shadow)}; {later}"
    if named == served:
        return f"warning: nothing is compared: {shadow} names {named}, which is served itself; {later}"
    return ""


def _end_by_signals() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    raise_on_termination()


def _ignore_signals() -> None:
    for number in ENDS:  # a second Ctrl-C would leave processes behind
        signal.signal(number, signal.SIG_IGN)


class Running:
    """A local Ray with the application on it; leaving the block ends both."""

    def __init__(self, args: PolicyAppArgs, host: str, port: int, metrics_port: int | None = None) -> None:
        self.args, self.host, self.port, self.metrics_port = args, host, port, metrics_port
        self.url = f"http://{_shown(host)}:{port}"

    def __enter__(self) -> "Running":
        from kalshi_platform.models.registry.load import require_fitting

        registry = Registry(self.args.registry)  # all checks come before Ray takes its seconds
        require_safe(self.host, require_token=self.args.access.require_token)
        require_tokens(self.args.access)
        say_exposed(self.args.access)
        require_fitting(registry.record(require_model(registry, self.args.model)))
        require_free(self.host, self.port)
        if self.metrics_port is not None:
            require_free("0.0.0.0", self.metrics_port, "--metrics-port")
        import ray
        from ray import serve as ray_serve

        from serve_deployments.app import build

        say("starting Ray")
        try:
            start_ray(ray, include_dashboard=False, _metrics_export_port=self.metrics_port)
            say("starting Serve")
            # This process says itself how far it is; the replicas' own lines go to Ray's folder of logs.
            logging.getLogger("ray.serve").addFilter(lambda record: record.levelno >= logging.WARNING)
            start_serve(ray_serve, {"host": self.host, "port": self.port})
            deploy(ray_serve, build(self.args))
        except BaseException:
            _ignore_signals()
            stop(ray, None)  # a start that failed answered nobody: nothing is to be finished
            raise
        return self

    def __exit__(self, *_: object) -> None:
        import ray
        from ray import serve as ray_serve

        _ignore_signals()
        stop(ray, ray_serve)

    def metrics_url(self) -> str:
        """Address where Prometheus reads the metrics of this Ray; each Ray of a machine has its own."""
        import ray

        node = ray.nodes()[0]  # type: ignore[no-untyped-call]
        return f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"

    def wait_ready(self, limit_s: float) -> str:
        """Wait until every tier answered and return the model's id; LimitError after ``limit_s`` seconds."""
        end_s, said = time.monotonic() + limit_s, ""
        while True:
            state = readiness(self.url)
            if state.get("ready") and all(each == "ok" for each in state["tiers"].values()):
                return str(state["model"])
            reason = str(state.get("reason"))
            if time.monotonic() > end_s:
                raise LimitError(
                    f"{self.url} was not ready within {limit_s:g} s: {reason}; Ray's logs are in /tmp/ray"
                )
            if reason != said:
                say(said := reason)
            time.sleep(0.2)


def start_serve(serve: Any, http_options: dict[str, Any]) -> None:
    """Start Serve (``serve`` is Ray's module), and go on with it where its proxy is late.

    Serve waits a minute for its proxy and replaces one that takes too long to come up. The controller then
    runs already and goes on starting the proxy: a second call finds it. An error of that call is raised.
    """
    from ray.exceptions import RayActorError

    try:
        serve.start(http_options=http_options)
    except (TimeoutError, RayActorError) as error:
        say(f"Serve's HTTP proxy is late, as on a busy machine; waiting for it once more ({_first(error)})")
        serve.start(http_options=http_options)


def deploy(serve: Any, application: Any) -> None:
    """Deploy the application on the running Serve; LimitError names what its replicas raised where it failed.

    A proxy that is late is not waited for here: :meth:`Running.wait_ready` asks until everything answers.
    """
    try:
        serve.run(application, name="policy", route_prefix="/", blocking=False)
    except TimeoutError as error:
        say(f"Serve's HTTP proxy is late, as on a busy machine ({_first(error)})")
    except RuntimeError as error:
        raise LimitError(why_not_deployed(str(error), serve.status())) from None


def _first(error: Exception) -> str:
    """Class and first line of an error of Ray, whose texts are many lines."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def why_not_deployed(said: str, status: Any) -> str:
    """Say why Serve could not deploy: ``said`` by Serve, and what each unhealthy deployment last raised.

    ``status`` is Serve's own (``serve.status()``); the last line of a traceback is the error.
    """
    lines = [said]
    for application in status.applications.values():
        for name, deployment in application.deployments.items():
            told = [line.strip() for line in deployment.message.splitlines() if line.strip()]
            if deployment.status != "HEALTHY" and told:
                lines.append(f"{name}: {told[-1]}")
    return "; ".join(lines) + "; Ray's logs are in /tmp/ray"


def readiness(url: str) -> dict[str, Any]:
    """Answer of ``/v1/readyz``; where none comes, ``ready`` is False and ``reason`` says why."""
    return asyncio.run(_readiness(url))


async def _readiness(url: str) -> dict[str, Any]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)) as http,
            http.get(f"{url}/v1/readyz") as found,
        ):
            text = await found.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return {"ready": False, "reason": str(error) or type(error).__name__}
    try:
        return dict(json_value(text))
    except ValueError:
        return {"ready": False, "reason": f"{found.status} {text[:200]}"}


def curl_line(url: str, access: AccessArgs) -> str:
    """Shell command that fetches the server's example request and sends it back for a decision."""
    first = f"{_FIRST_TOKEN} {shlex.quote(str(access.token_file))}"
    if access.token_file is None:
        first = f"printenv {access.token_env} | {_FIRST_TOKEN}"
    token = f' -H "Authorization: Bearer $({first})"' if access.require_token else ""
    kind = "-H 'Content-Type: application/json'"
    return f"curl -s{token} {url}/v1/example | curl -s{token} {kind} -d @- {url}/v1/decide"


def require_free(host: str, port: int, option: str = "--port") -> None:
    """Raise ContractError if nothing can listen on ``host``:``port``, which ``option`` chooses."""
    try:
        with socket.create_server((host, port), family=_family(host)):
            pass
    except OSError as error:
        raise ContractError(
            f"{host}:{port} cannot be listened on ({error.strerror}): end what listens there or "
            f"choose {option}"
        ) from None


def free_port(host: str) -> int:
    """A port nobody listens on now, from a range that systems give to nobody who did not ask for it.

    HAProxy binds its ports up to a minute later. A port from the kernel (bind to 0) may be the local end of
    any program's connection by then; one of these is given once, also among processes of this machine.
    """
    for _ in range(100):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        try:
            with socket.create_server((host, port), family=_family(host)):
                if _claims(port):
                    return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ContractError(f"{host} cannot be listened on ({error.strerror})") from None
    raise LimitError(f"{host}: 100 ports tried between {_PORTS[0]} and {_PORTS[-1]} are all taken")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _shown(host: str) -> str:
    reached = "127.0.0.1" if host == "0.0.0.0" else host
    return f"[{reached}]" if ":" in reached else reached


def _claims(port: int) -> bool:
    """Claim a port until this process ends; False where an earlier call has it, here or in another process.

    Linux has names for that (abstract sockets), which end with their process; elsewhere this process alone
    is looked at.
    """
    if port in _CLAIMED:
        return False
    if sys.platform == "linux":
        with socket.socket(socket.AF_UNIX) as name:
            try:
                name.bind(f"\0kalshi-platform-port-{port}")
            except OSError:
                return False
            name.detach()  # stays open
    _CLAIMED.add(port)
    return True
