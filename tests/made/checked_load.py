"""A steady load on a served application whose every answer is held against the model that it names.

Expected   the actions of each tier of each model, decided in this process from the same registry.
Loose      where two legal actions are nearly as probable either is right: two forms of one network (ONNX,
           TorchScript) differ in the last digits.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, NamedTuple

import aiohttp
import numpy as np

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.api.requests import DecideRequest
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import TIER_NAMES, Decisions
from kalshi_platform.serving.inference.ready import ready_tiers
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.serving.loadtest.bodies import varied_bodies
from kalshi_platform.serving.server.feature_cache import FeatureCache
from kalshi_platform.serving.server.reading import Reader, columns_of
from made.served import served_by

N_BODIES, VARY, GROUPS = 16, 0.3, 128
#: Two probabilities closer than this may change places between two forms of a network.
NEAR = 1e-3


class Asked(NamedTuple):
    """One request of a load."""

    status: int  # 0: the connection broke
    answer: dict[str, Any]
    attempts: int
    body: int  # number of the body that was sent
    sent_s: tuple[float, ...]  # when each attempt was sent, monotonic
    at_s: float  # when it was answered


def served_here(registry: Registry, model: str) -> ServedModel:
    """Make the same tiers in this process, without the cache of answers; once for each model."""
    return _served(registry.uri, model)


@cache
def _served(uri: str, model: str) -> ServedModel:
    ready = ready_tiers(Registry(uri), model)
    policy = TieredPolicy(ready.model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))
    return served_by(ready, policy)


class Expected:
    """Answers that the models of a registry give to some bodies."""

    def __init__(self, registry: Registry, bodies: list[dict[str, Any]]) -> None:
        self._registry, self._bodies = registry, bodies
        self._decided = cache(self._decide)

    def wrong(self, asked: Asked) -> str:
        """Say what is wrong with an answer; empty where nothing is."""
        (group,) = asked.answer["groups"]
        model, tier, given = asked.answer["model"], group["tier"], list(group["actions"].values())
        if tier == "none":
            return "" if set(given) == {"HOLD"} else f"nobody decided, and yet {given}"
        found, live = self._decided(model, tier)
        for s, action in enumerate(given):
            probabilities = found.probabilities[asked.body, s]
            wanted = ACTION_NAMES[found.actions[asked.body, s]] if live[asked.body, s] else "HOLD"
            is_near = probabilities.max() - probabilities[ACTION_NAMES.index(action)] < NEAR
            if action != wanted and not (live[asked.body, s] and is_near):
                return f"{model} {tier} decided body {asked.body} slot {s} {action}, here {wanted}"
        return ""

    def learn(self, model: str) -> None:
        """Decide by every tier of ``model`` now: later its files may be damaged."""
        for tier in served_here(self._registry, model).policy.tiers:
            self._decided(model, TIER_NAMES[tier.number])

    def _decide(self, model: str, tier: str) -> tuple[Decisions, np.ndarray]:
        """Decisions of one tier on all bodies, and the slots (N, S) with an active market."""
        served = served_here(self._registry, model)
        spec = served.policy.spec
        reader = Reader(spec, served.window, served.trading, FeatureCache(columns_of(spec)), GROUPS)
        groups = [group for body in self._bodies for group in body["groups"]]
        request = DecideRequest.model_validate_json(json.dumps({**self._bodies[0], "groups": groups}))
        read = reader.read(request, "here", 0)
        number = next(n for n, name in TIER_NAMES.items() if name == tier)
        return served.policy.ask(number, read.batch, 0), read.occupied


class Load:
    """Requests at a fixed rate, left out while ``most`` are in flight; each may be sent a second time.

    A service on a busy machine is so asked as much as it can answer. The second time is on a connection of
    its own, as with ``DecideClient``: HAProxy, reloaded after the loss of a replica, ends idle ones.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        bodies: list[dict[str, Any]],
        may_retry: bool,
        rate: float,
        most: float = math.inf,
    ) -> None:
        self._url, self._session, self._bodies, self._rate, self._most = url, session, bodies, rate, most
        self._attempts = 2 if may_retry else 1
        self.done: list[Asked] = []
        self._waiting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        begun_s = time.monotonic()
        for k in range(1_000_000):
            if len(self._waiting) < self._most:
                task = asyncio.create_task(self.ask(k))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
            await asyncio.sleep(begun_s + (k + 1) / self._rate - time.monotonic())

    async def settle(self) -> None:
        await asyncio.gather(*self._waiting)

    async def until(self, seen: Callable[[dict[str, Any]], bool], n: int) -> None:
        """Wait for ``n`` answers in a row of which ``seen`` holds; five minutes at most."""
        async with asyncio.timeout(300):
            while len(self.done) < n or not all(a.status == 200 and seen(a.answer) for a in self.done[-n:]):
                await asyncio.sleep(0.05)

    async def every_replica_serves(self, model: str, n: int = 40) -> None:
        """Wait for ``n`` answers in a row of ``model``: a replica that lags would have given half of them."""
        async with asyncio.timeout(300):
            while len(self.done) < n or {asked.answer.get("model") for asked in self.done[-n:]} != {model}:
                await asyncio.sleep(0.1)

    async def ask(self, number: int) -> None:
        """Send request ``number`` of this load and keep its answer."""
        which, request_id = number % len(self._bodies), f"load-{id(self)}-{number}"
        status, answer, sent_s = 0, {}, list[float]()
        while status != 200 and len(sent_s) < self._attempts:
            sent_s.append(time.monotonic())
            body = {**self._bodies[which], "request_id": request_id}
            try:
                status, text = await self._post(body, len(sent_s))
                answer = json.loads(text) if status == 200 else {"text": text}
            except (aiohttp.ClientError, ConnectionError) as error:
                status, answer = 0, {"text": repr(error)}
        self.done.append(Asked(status, answer, len(sent_s), which, tuple(sent_s), time.monotonic()))

    async def _post(self, body: dict[str, Any], attempt: int) -> tuple[int, str]:
        async with AsyncExitStack() as stack:
            session = self._session
            if attempt > 1:
                session = await stack.enter_async_context(aiohttp.ClientSession(self._url))
            found = await stack.enter_async_context(session.post("/v1/decide", json=body))
            return found.status, await found.text()


def disagreed_s(done: list[Asked], before: str, after: str) -> float:
    """Seconds in which both models answered: from the first answer of ``after`` to the last of ``before``."""
    at = {name: [a.at_s for a in done if a.answer.get("model") == name] for name in (before, after)}
    if not at[before] or not at[after]:
        return 0.0
    return max(0.0, max(at[before]) - min(at[after]))


async def some_bodies(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Bodies that the served model reads: its example, varied by a seed."""
    async with session.get("/v1/example") as found:
        return list(varied_bodies(await found.json(), N_BODIES, VARY, seed=0))


@asynccontextmanager
async def under_load(
    url: str, registry: Registry, *, may_retry: bool = False, rate: float = 40.0, most: float = math.inf
) -> AsyncIterator[Load]:
    """A steady load that began to be answered; at the end every request was answered, and none wrong."""
    async with aiohttp.ClientSession(url) as session:
        bodies = await some_bodies(session)
        load = Load(url, session, bodies, may_retry, rate, most)
        running = asyncio.create_task(load.run())
        try:
            await load.until(lambda answer: True, 10)
            yield load
        finally:
            running.cancel()
            await load.settle()
    failed = [(asked.status, asked.answer) for asked in load.done if asked.status != 200]
    assert failed == [], f"{len(failed)} of {len(load.done)} requests failed"
    expected = Expected(registry, bodies)
    wrong = [words for asked in load.done if (words := expected.wrong(asked))]
    assert wrong == [], f"{len(wrong)} of {len(load.done)} answers are wrong"
