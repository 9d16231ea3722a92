"""The HTTP application around made tiers, in process: no Ray, no registry."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from kalshi_platform.serving.api.requests import (
    ModelEvent,
    ProblemBody,
    ShadowFound,
)
from kalshi_platform.serving.guard.served import ServedModel, Verdict
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.ready import ModelKey, probe_batch
from kalshi_platform.serving.inference.tiered import TieredConfig
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.http import make_app
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.service import Service
from kalshi_platform.simulation.replay.trading import TradingConfig
from made.served import made_served
from made.serving_tiers import PlainEngine, made_policy

MODEL = "moderate-0123456789ab"
CLIENT, ADMIN = "client-token-of-tests", "admin-token-of-tests-1"


class Client:
    """Asks an application from code that does not wait."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str, **keywords: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, keywords))

    def post(self, path: str, **keywords: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, keywords))

    async def _ask(self, method: str, path: str, keywords: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **keywords)


class Told(NamedTuple):
    """One decision that was counted."""

    request_id: str
    served: ServedModel
    decisions: Decisions
    timings_ms: dict[str, float]
    occupied: np.ndarray


class Watched(Observability):
    """Counts and logs, and keeps what it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[Told] = []
        self.problems: list[Problem] = []
        self.ages_ns: list[int] = []
        self.row_ages_ns: list[int] = []
        self.lost: list[BaseException] = []
        self.paused: list[bool] = []

    def decided(
        self,
        request_id: str,
        served: ServedModel,
        decisions: Decisions,
        timings_ms: Mapping[str, float],
        occupied: np.ndarray,
    ) -> None:
        super().decided(request_id, served, decisions, timings_ms, occupied)
        self.answered.append(Told(request_id, served, decisions, dict(timings_ms), occupied))

    def fell_back(self, request_id: str, model: str, tier: int, error: BaseException) -> None:
        super().fell_back(request_id, model, tier, error)
        self.lost.append(error)

    def filled(self, age_ns: int) -> None:
        super().filled(age_ns)
        self.ages_ns.append(age_ns)

    def event(self, decisions: Decisions, occupied: np.ndarray, taken_ns: int, age_ns: int) -> None:
        super().event(decisions, occupied, taken_ns, age_ns)
        self.row_ages_ns.append(age_ns)

    def tier_3_paused(self, is_paused: bool) -> None:
        super().tier_3_paused(is_paused)
        self.paused.append(is_paused)

    def refused(self, request_id: str, problem: Problem) -> None:
        super().refused(request_id, problem)
        self.problems.append(problem)


class FixedModel:
    """A guard of the one model of a test; what an administrator asks for is answered as the test says."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self.n_answered = self.n_failed = 0
        self.verdict: Verdict | None = None
        self.refusal: Exception | None = None
        self.found: ShadowFound | None = None

    def current(self) -> ServedModel | None:
        return self._app.served

    def answered(self, served: ServedModel, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        self.n_answered += 1

    def failed(self, served: ServedModel, taken_ns: int) -> None:
        self.n_failed += 1

    def refresh(self) -> Verdict | None:
        if self.refusal is not None:
            raise self.refusal
        return self.verdict

    def rollback(self, reason: str) -> ServedModel:
        if self.refusal is not None:
            raise self.refusal
        return made_served(self._app.policy, TradingConfig(), "tiny-0123456789ab")

    @property
    def events(self) -> tuple[ModelEvent, ...]:
        return (ModelEvent(at_ns=1, kind="loaded", model=MODEL, tiers=None, words="of the test"),)

    def shadow(self) -> ShadowFound | None:
        return self.found


class App:
    """A service with its client and everything a test looks at."""

    def __init__(
        self,
        thresholds: tuple[float | None, float | None] = (None, None),
        ask_tier_3: Callable[[ModelKey, Batch], Awaitable[Decisions]] | None = None,
        served: bool = True,
        **settings: Any,
    ) -> None:
        args = PolicyAppArgs.parse(
            {"access": {"require_token": False}, "inference_ttl_ms": 0, "deadline_ms": 60_000.0, **settings}
        )
        policy, engines = made_policy(thresholds, TieredConfig(inference_ttl_ms=0))
        policy.decide(probe_batch(policy), 0)
        self.policy = policy
        self.engines: tuple[PlainEngine, ...] = engines
        self.served = made_served(policy, TradingConfig(n_slots=5), MODEL) if served else None
        self.watched = Watched()
        self.guard: Any = FixedModel(self)
        self.service = Service(args, self.guard, ask_tier_3, observability=self.watched)
        self.app = make_app(self.service)
        self.client = Client(self.app)
        self.own = token(CLIENT) if args.access.require_token else {}

    def example(self) -> dict[str, Any]:
        """A valid request, as the service itself offers it."""
        return dict(self.client.get("/v1/example", headers=self.own).json())

    def decide(self, body: Any, **headers: str) -> Any:
        """The response to ``body``: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(
            "/v1/decide", content=content, headers={"content-type": "application/json", **headers}
        )


def token(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def token_files(folder: Path) -> dict[str, Any]:
    """``access`` that knows CLIENT and ADMIN."""
    (folder / "clients").write_text(f"# of the tests\n{CLIENT}\nanother-client-token\n")
    (folder / "admins").write_text(f"{ADMIN}\n")
    return {"token_file": folder / "clients", "admin_token_file": folder / "admins"}


def refused(response: Any, status: int, kind: str, field: str | None = None) -> ProblemBody:
    """The problem in a response, which must be of this kind and name this field."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemBody.model_validate_json(response.content)
    assert (problem.type, problem.status, problem.field) == (f"/problems/{kind}", status, field)
    assert problem.title
    assert problem.detail
    assert problem.request_id == response.headers["x-request-id"]
    return problem
