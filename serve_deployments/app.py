"""The Ray Serve application: ``serve_deployments.app:build``.

Ingress    HTTP, caches, rules and tiers 1 and 2 in one process: a hop between processes costs more than they
           do.
Tier3      tier 3; the ingress asks it through a handle where the deadline allows.
Not        the decisions (service.py and tier_3.py in kalshi_platform/serving/server): the classes here
           only put them on Ray Serve.
"""

import asyncio
import gc
import math
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.guard.alias_verdicts import Deployed, deployed_now
from kalshi_platform.serving.guard.guard import ModelGuard
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.ready import ModelKey, ready_model
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.http import make_app
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.service import AskTier3, Service
from kalshi_platform.serving.server.tier_3 import Tier3Models
from kalshi_platform.serving.server.waiting import watch_waits
from kalshi_platform.serving.server.warming import rehearse
from serve_deployments import fair_reading
from serve_deployments.observability import LOG, LOGGING, start_exporting
from serve_deployments.open_files import require_open_files

#: Longest wait for tier 3 to load a model before the ingress checks it; after that it goes on without.
_PREPARE_S: Final = 60.0
#: The replica counts and logs an answer this long after making it: by then the answer has left.
_LATER_S: Final = 0.001


@serve.deployment
class Tier3:
    """Deployment of tier 3; a replica keeps the models it was asked for last."""

    async def __init__(self, args: PolicyAppArgs) -> None:  # type: ignore[misc]  # Serve awaits it
        """Load the model that the alias names now, unless it cannot be, then follow the alias."""
        self._models = Tier3Models(Registry(args.registry), args.model)
        try:
            await self._models.follow()
        except PlatformError as error:  # the ingress names the model that it wants asked
            LOG.warning("tier 3 starts without the model that %s names: %s", args.model, error)
        self._following = asyncio.create_task(_every(args.poll_s, self._models.follow, "following"))
        _settle()

    async def decide(self, key: ModelKey, batch: Batch) -> Decisions:
        """Decide ``batch`` by tier 3 of the model and tier set ``key``."""
        return await self._models.decide(key, batch)

    async def prepare(self, key: ModelKey) -> None:
        """Load the model and tier set ``key``, which the ingress is about to serve."""
        await self._models.prepare(key)


@serve.deployment
@serve.ingress()
class Ingress:
    """Deployment of the HTTP service; each replica follows the alias for itself."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, args: PolicyAppArgs, tier_3: DeploymentHandle | None, deployed: Deployed | None
    ) -> None:
        """Serve the model that stood last, then follow the alias; ``deployed`` is what it named at first."""
        observability = Observability(args.log_share, LOG)
        loop = asyncio.get_running_loop()
        guard = ModelGuard(
            Registry(args.registry),
            args.guard,
            deployed=deployed,
            announce=None if tier_3 is None else _preparing(tier_3, loop),
            listener=observability.happened,
            compared=observability.metrics.shadow,
            load=partial(ready_model, inside_ms=math.inf if tier_3 is None else args.tier_3_inside_ms),
        )
        served = await asyncio.to_thread(guard.start)
        try:
            await asyncio.to_thread(lambda: asyncio.run(rehearse(args, served)))
        except ContractError as error:  # the first clients wait longer, and nothing else
            LOG.warning("%s", error)
        self._service = Service(
            args, guard, None if tier_3 is None else _asking(tier_3),
            observability=observability, later=lambda act: loop.call_later(_LATER_S, act),
        )  # fmt: skip
        self._service.info()  # its reader is made
        fair_reading.install(4 * args.limits.message_chars)  # Serve starts the replica's server after this
        start_exporting(lambda: observability.collect(guard.current()), args.export_s)
        _settle()
        self._tasks = [
            asyncio.create_task(
                _every(args.poll_s, lambda: asyncio.to_thread(guard.refresh), "following", by_clock=True)
            ),
            asyncio.create_task(_every(args.probe_s, self._service.ready, "probing every tier")),
            asyncio.create_task(watch_waits(observability.waited)),
        ]
        if args.shadow is not None:
            following = _every(
                args.poll_s, lambda: asyncio.to_thread(guard.follow_shadow), "the shadow", at_once=True
            )
            self._tasks.append(asyncio.create_task(following))

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the routes in the replica, so that nothing of them is pickled."""
        app = make_app(self._service)
        app.openapi()  # built once, which takes 75 ms: not before the eyes of whoever opens /docs first
        return app


def _settle() -> None:
    """Take what lives as long as the process (Ray, torch, the first model) from the garbage collector.

    A full collection would walk all of these objects and stop every answer meanwhile.
    """
    gc.collect()
    gc.freeze()


async def _every(
    seconds: float,
    act: Callable[[], Awaitable[object]],
    what: str,
    *,
    at_once: bool = False,
    by_clock: bool = False,
) -> None:
    """Call ``act`` every ``seconds``, first after as many or ``at_once``; log failures and continue.

    ``by_clock``: instead, at the moments of :func:`until_look_s`, the same in every process.
    """
    wait_s = 0.0 if at_once else seconds
    while True:
        await asyncio.sleep(until_look_s(seconds, time.time()) if by_clock else wait_s)
        wait_s = seconds
        try:
            await act()
        except PlatformError as error:
            LOG.warning("%s failed: %s", what, error)
        except Exception:  # the loop must not end because one call failed
            LOG.exception("%s failed; the next attempt is in %g s", what, seconds)


def until_look_s(every_s: float, now_s: float) -> float:
    """Seconds from ``now_s`` since the epoch to the next whole multiple of ``every_s``; above 0.

    Replicas whose looks at the registry fall together see a change of the alias together. Two of them then
    answer with different models as long as their preparations differ, and not up to ``every_s`` longer.
    """
    return every_s - now_s % every_s


def _asking(tier_3: DeploymentHandle) -> AskTier3:
    async def ask(key: ModelKey, batch: Batch) -> Decisions:
        response = tier_3.decide.remote(key, batch)
        try:
            return await response
        except BaseException:
            response.cancel()  # type: ignore[no-untyped-call]
            raise

    return ask


def _preparing(tier_3: DeploymentHandle, loop: asyncio.AbstractEventLoop) -> Callable[[ModelKey], None]:
    """Make the function that has tier 3 load a model before the ingress checks that model.

    The guard calls the function in the thread that prepares the model, while the loop goes on answering.
    """

    async def ask(key: ModelKey) -> None:
        await tier_3.prepare.remote(key)

    def prepare(key: ModelKey) -> None:
        asked = asyncio.run_coroutine_threadsafe(ask(key), loop)
        try:
            asked.result(_PREPARE_S)
        except Exception as error:  # the guard checks the other tiers all the same
            asked.cancel()
            LOG.warning("tier 3 did not load %s before its check: %s", key.model, error)

    return prepare


def build(args: PolicyAppArgs) -> serve.Application:
    """Build the application that ``args`` describe; Ray Serve takes ``args`` from a config file.

    Errors of the registry come through: a replica could not start either. So does the lack of open files
    for HAProxy on the node that builds.
    """
    require_open_files(os.environ)
    common = {
        "health_check_period_s": args.health_check_s,
        "logging_config": LOGGING,
    }
    tier_3 = None
    if args.tier_3:
        deployment: Any = Tier3
        tier_3 = deployment.options(
            num_replicas=args.tier_3_replicas,
            max_queued_requests=args.max_queued_requests,
            max_ongoing_requests=args.max_ongoing_requests,
            ray_actor_options={"num_cpus": args.tier_3_cpus},
            **common,
        ).bind(args)
    ingress: Any = Ingress
    deployed = deployed_now(Registry(args.registry), args.model)
    # What clients hold for long, bodies on their way and streams, has places of its own: none of them can be
    # taken from requests that are decided.
    return ingress.options(
        num_replicas=args.replicas,
        max_ongoing_requests=args.max_ongoing_requests + args.limits.held_places,
        ray_actor_options={"num_cpus": args.replica_cpus},
        **common,
    ).bind(args, tier_3, deployed)
