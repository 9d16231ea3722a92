"""One replica's decisions without Ray and without HTTP: caches, rules and tiers of the model that is served.

Owns       the way of one request: parse, look up its id, read its rows, tiers 1 and 2, tier 3 where time is
           left, names.
Units      times ms from the arrival of a request; clocks are monotonic.
Invariant  a request is decided by one ServedModel from beginning to end, whatever is reloaded meanwhile.
Threads    the event loop: tiers 1 and 2 take about 0.1 ms, less than handing them to a thread would.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from kalshi_platform.data.features.spec import SPEC
from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.domain.worlds import world_words
from kalshi_platform.models.registry.examples import Example
from kalshi_platform.models.registry.provenance import counts_words
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    FeatureInfo,
    ModelInfo,
    Readiness,
)
from kalshi_platform.serving.guard.guard import ModelGuard
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import (
    TIER_NAMES,
    Batch,
    Decisions,
    Note,
    Tier,
    TierName,
    tier_words,
)
from kalshi_platform.serving.inference.hop import is_asked_inside
from kalshi_platform.serving.inference.ready import ModelKey, probe_batch
from kalshi_platform.serving.inference.tiered import Pending, TierError
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.arrivals import require_readable
from kalshi_platform.serving.server.breaker import Breaker
from kalshi_platform.serving.server.example import MADE_UP, example_request, kept_request
from kalshi_platform.serving.server.feature_cache import CLASS_OF_COLUMN, FeatureCache, FeatureClass
from kalshi_platform.serving.server.idempotency import Answers, RequestIdReusedError
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.problems import Problem, of_validation
from kalshi_platform.serving.server.reading import Asked, Reader, answer_of, columns_of

#: With less time left, a hop to tier 3 in another process would only be late.
MIN_FULL_MS: Final = 1.0
#: The same where this process asks its own tier 3.
MIN_HERE_MS: Final = 0.2
_NOTHING: Final = Note(0)
#: How long readiness waits for tier 3.
PROBE_S: Final = 1.0

#: Asks tier 3 in another process: (model and tier set, question) -> its decisions.
AskTier3 = Callable[[ModelKey, Batch], Awaitable[Decisions]]


class _Begun(NamedTuple):
    """A batch on its way after cache, rules, tiers 1 and 2."""

    request_id: str
    served: ServedModel
    pending: Pending
    deadline_ns: int
    now_ns: int  # when it began
    failed: bool  # one of the model's networks did
    stages_ns: dict[str, int]


class Service:
    """Decides requests with the model that answers at the moment they arrive."""

    def __init__(
        self,
        args: PolicyAppArgs,
        guard: ModelGuard,
        ask_tier_3: AskTier3 | None = None,
        *,
        observability: Observability,
        later: Callable[[Callable[[], None]], object] = lambda act: act(),
    ) -> None:
        """``ask_tier_3`` asks tier 3 in another process, where that is quicker; None: this one asks its own.

        The service hands ``later`` the work that no answer need wait for: counting, logging, recording. The
        default does that work at once.
        """
        self._later = later
        self.args, self.guard, self.observability = args, guard, observability
        self._ask_tier_3 = ask_tier_3
        self._breaker = Breaker(args.breaker, time.monotonic_ns, observability.tier_3_paused)
        self._features: FeatureCache | None = None
        self._answers = Answers(args.limits.answers, time.monotonic_ns)
        self._reader: tuple[int, Reader] | None = None

    def served(self) -> ServedModel:
        """The model that answers now; Problem 503 before the first is loaded."""
        served = self.guard.current()
        if served is None:
            raise Problem(
                503, "no-model", "no model is loaded yet: ask again in a second", headers={"Retry-After": "1"}
            )
        return served

    def reader(self, served: ServedModel) -> Reader:
        """Return the reader for ``served``; with the same columns, the values that markets sent stay."""
        if self._reader is None or self._reader[0] != served.number:
            spec, limits = served.policy.spec, self.args.limits
            if self._features is None or self._features.names != columns_of(spec):
                self._features = FeatureCache(columns_of(spec), limits.features)
            reader = Reader(spec, served.window, served.trading, self._features, limits.groups)
            self._reader = (served.number, reader)
        return self._reader[1]

    async def decide(self, client: str, body: bytes, arrived_ns: int) -> bytes:
        """Answer the request in ``body``, of the ``client`` that the gate let in, as JSON.

        ``arrived_ns`` is of the monotonic clock. Problem says what is wrong with the request.
        """
        require_readable(body, self.args.limits.groups, self.served().policy.spec.n_slots)
        try:
            request = DecideRequest.model_validate_json(body)
        except ValidationError as error:
            raise of_validation(DecideRequest, body, error) from None
        parsed_ns = time.monotonic_ns()
        try:
            found = await self._answers.once(
                client, request.request_id, body, lambda: self._decide(client, request, arrived_ns, parsed_ns)
            )
        except RequestIdReusedError as error:
            raise Problem(409, "request-id-reused", str(error), "request_id") from None
        return found.body

    def _decide(
        self, client: str, request: DecideRequest, arrived_ns: int, parsed_ns: int
    ) -> bytes | Awaitable[bytes]:
        """Answer as JSON, or an awaitable of it where another process must be asked for tier 3."""
        served = self.served()
        if request.feature_digest != served.policy.spec.feature_digest:
            raise Problem(
                409,
                "feature-digest",
                f"the rows are of feature table {request.feature_digest!r}, model {served.key.model} reads "
                f"{served.policy.spec.feature_digest!r}: compute them with the release that trained it",
                "feature_digest",
            )
        asked = self.reader(served).read(request, client, parsed_ns)
        read_ns = time.monotonic_ns()
        stages_ns = {"parse": parsed_ns - arrived_ns, "read": read_ns - parsed_ns}
        deadline_ns = arrived_ns + round((request.deadline_ms or self.args.deadline_ms) * NS_PER_MS)
        begun = self._ask_fast_tiers(request.request_id, served, asked.batch, deadline_ns, stages_ns)

        def answer_json(decisions: Decisions) -> bytes:
            done_ns = time.monotonic_ns()
            stages_ns["decide"] = done_ns - read_ns
            stages_ns["total"] = done_ns - arrived_ns
            return self._answer_json(request, served, asked, decisions, stages_ns)

        if self._needs_remote(begun):
            return self._awaited(begun, answer_json)
        return answer_json(self._finish_locally(begun))

    async def _awaited(self, begun: _Begun, answer_json: Callable[[Decisions], bytes]) -> bytes:
        return answer_json(await self._finish_remotely(begun))

    def _answer_json(
        self,
        request: DecideRequest,
        served: ServedModel,
        asked: Asked,
        decisions: Decisions,
        stages_ns: dict[str, int],
    ) -> bytes:
        """Write the answer as JSON; counting and logging follow later."""
        timings_ms = {name: taken / NS_PER_MS for name, taken in stages_ns.items()}

        def record() -> None:
            self.observability.decided(request.request_id, served, decisions, timings_ms, asked.occupied)
            if asked.stale_ns:
                self.observability.filled(asked.stale_ns)

        self._later(record)
        return to_json(
            {
                "request_id": request.request_id,
                "model": served.key.model,
                "tier_set": served.key.tier_set,
                "groups": answer_of(request, decisions, asked.reasons),
                "timings_ms": timings_ms,
                **served.mark_fields,
            }
        )

    async def decide_batch(
        self, request_id: str, served: ServedModel, batch: Batch, deadline_ns: int, stages_ns: dict[str, int]
    ) -> Decisions:
        """Decide ``batch`` by the highest tier that is needed and done before ``deadline_ns``.

        Adds the time of each stage to ``stages_ns``; guard and observability learn how the request went.
        """
        begun = self._ask_fast_tiers(request_id, served, batch, deadline_ns, stages_ns)
        return (
            await self._finish_remotely(begun) if self._needs_remote(begun) else self._finish_locally(begun)
        )

    def _ask_fast_tiers(
        self, request_id: str, served: ServedModel, batch: Batch, deadline_ns: int, stages_ns: dict[str, int]
    ) -> _Begun:
        policy, now_ns = served.policy, time.monotonic_ns()
        failures = policy.failures.total()
        pending = policy.decide_fast(batch, now_ns)
        stages_ns.update(pending.stages_ns)
        failed = policy.failures.total() > failures
        return _Begun(request_id, served, pending, deadline_ns, now_ns, failed, stages_ns)

    def asks_here(self, served: ServedModel) -> bool:
        """True if this process asks its own tier 3 of ``served``."""
        return self._ask_tier_3 is None or is_asked_inside(served.tier_3_ms, self.args.tier_3_inside_ms)

    def _needs_remote(self, begun: _Begun) -> bool:
        return bool(begun.pending.open.size) and not self.asks_here(begun.served)

    def _finish_locally(self, begun: _Begun) -> Decisions:
        """Finish a request without awaiting: everything is decided, or tier 3 runs in this process."""
        pending, at_ns = begun.pending, time.monotonic_ns()
        if not pending.open.size:
            return self._finish(begun, None)
        if begun.deadline_ns - at_ns < MIN_HERE_MS * NS_PER_MS:
            return self._finish(begun, None, Note.DEADLINE)
        try:
            found = begun.served.policy.ask(int(Tier.TIER_3), pending.question, pending.now_ns)
        except TierError as error:
            return self._fall_back(begun, error, is_models_fault=True)
        finally:
            begun.stages_ns["tier_3"] = time.monotonic_ns() - at_ns
        return self._finish(begun, found)

    async def _finish_remotely(self, begun: _Begun) -> Decisions:
        """Finish a request with tier 3's answer from its process, or by the tiers below without it."""
        at_ns = time.monotonic_ns()
        try:
            found, why = await self._from_tier_3(
                begun.served, begun.pending, (begun.deadline_ns - at_ns) / NS_PER_SECOND
            )
        except Exception as error:  # a failed network, a dead replica, a lost handle: all mean the same
            return self._fall_back(begun, error, is_models_fault=isinstance(error, TierError))
        finally:
            begun.stages_ns["tier_3"] = time.monotonic_ns() - at_ns
        return self._finish(begun, found, why)

    def _fall_back(self, begun: _Begun, error: Exception, *, is_models_fault: bool) -> Decisions:
        """Finish a request by the tiers below tier 3, which failed with ``error``."""
        self.observability.fell_back(begun.request_id, begun.served.key.model, int(Tier.TIER_3), error)
        failed = begun.failed or is_models_fault  # a failure of its host is not the model's
        return self._finish(begun._replace(failed=failed), None, Note.FALLBACK)

    def _finish(self, begun: _Begun, found: Decisions | None, why: Note = _NOTHING) -> Decisions:
        """Put tier 3's answer in place and tell the guard how the request went."""
        served, batch = begun.served, begun.pending.batch
        decisions = served.policy.finish(begun.pending, found, why)
        taken_ns = time.monotonic_ns() - begun.now_ns
        if begun.failed:
            self.guard.failed(served, taken_ns)
        else:
            self._later(lambda: self.guard.answered(served, batch, decisions, taken_ns))
        return decisions

    async def _from_tier_3(
        self, served: ServedModel, pending: Pending, left_s: float
    ) -> tuple[Decisions | None, Note]:
        """Tier 3's answer to the open groups, or the note that says why there is none; raises its errors."""
        if left_s * 1_000 < MIN_FULL_MS:
            return None, Note.DEADLINE
        assert self._ask_tier_3 is not None  # else it is asked here
        if not self._breaker.allows():
            return None, Note.FALLBACK
        try:
            async with asyncio.timeout(left_s):
                found = await self._ask_tier_3(served.key, pending.question)
        except TimeoutError:
            self._breaker.ran_out(left_s * 1_000)
            return None, Note.DEADLINE
        except TierError:  # the model's fault, which its watch counts: its host is there and answers
            self._breaker.answered()
            raise
        except Exception:
            self._breaker.failed()
            raise
        self._breaker.answered()
        return found, Note(0)

    def info(self) -> ModelInfo:
        """Describe the served model and the columns it reads."""
        served = self.served()
        spec, tiers = served.policy.spec, served.policy.tiers
        known = {feature.name: feature for feature in SPEC}
        reader, worlds = self.reader(served), map(world_words, served.record.worlds)
        return ModelInfo(
            model=served.key.model,
            tier_set=served.key.tier_set,
            tiers=[TIER_NAMES[tier.number] for tier in tiers],
            exits=[TIER_NAMES[t.number] for t in tiers[:-1] if t.exit_threshold is not None],
            forms={TIER_NAMES[tier.number]: tier.engine.form for tier in tiers},
            tier_3_asked=self._tier_3_asked(served),
            alias=self.args.model,
            feature_digest=spec.feature_digest,
            passed_gates=served.marks.passed_gates,
            judged_on=served.marks.judged_on,
            trained_on="; ".join([counts_words(served.record.trained_on), *worlds]),
            dataset_digest=served.record.dataset_digest,
            **served.marks.fields,
            columns=[
                FeatureInfo(
                    name=name, group=known[name].feature_set, low=known[name].low, high=known[name].high,
                    max_age_ms=self._max_age_ms(name),
                )
                for name in reader.columns
            ],
            n_slots=spec.n_slots,
            window=served.window,
            history_columns=[feature.name for feature in reader.history],
            actions=list(ACTION_NAMES),
            hold=served.trading.hold,
            sizing=served.trading.sizing,
            example=MADE_UP if (kept := self.kept_example()) is None else kept.source,
        )  # fmt: skip

    def kept_example(self) -> Example | None:
        """The example kept of the served model; None without one, or where the model reads other columns."""
        served = self.served()
        found, spec = served.example, served.policy.spec
        is_read = (
            found is not None and found.columns == columns_of(spec) and len(found.markets) <= spec.n_slots
        )
        return found if is_read else None

    def example(self, request_id: str | None = None, *, packed: bool = False) -> DecideRequest:
        """A request that a client may send back: what the model was really shown, else made up."""
        kept = self.kept_example()
        if kept is None:
            return example_request(self.info(), request_id, packed=packed)
        return kept_request(kept, self.info(), request_id, packed=packed)

    def _tier_3_asked(self, served: ServedModel) -> Literal["replica", "deployment", "nowhere"]:
        if served.policy.tiers[-1].number != Tier.TIER_3:
            return "nowhere"
        return "replica" if self.asks_here(served) else "deployment"

    def _max_age_ms(self, name: str) -> int | None:
        bounds = self.args.limits.features
        ages = {FeatureClass.SLOW: bounds.slow_ms, FeatureClass.STATIC: bounds.static_ms}
        return ages.get(CLASS_OF_COLUMN[name])

    async def ready(self) -> Readiness:
        """Ask every tier about a seeded observation; not ready where one in this process fails."""
        served = self.guard.current()
        if served is None:
            self.observability.ready(False)
            return Readiness(ready=False, model=None, tiers={}, reason="no model is loaded yet")
        policy, now_ns = served.policy, time.monotonic_ns()
        batch = probe_batch(policy)
        found: dict[TierName, str] = {}
        for tier in policy.tiers:
            if tier.number == Tier.TIER_3 and not self.asks_here(served):
                continue
            try:
                policy.ask(tier.number, batch, now_ns)
                found[TIER_NAMES[tier.number]] = "ok"
            except TierError as error:
                found[TIER_NAMES[tier.number]] = str(error)
        ready = all(state == "ok" for state in found.values())
        if not self.asks_here(served):
            found["tier_3"] = await self._probe_tier_3(served, batch)
            # With no tier below it, every answer would be HOLD without tier 3: the replica is not ready.
            ready = ready and (len(found) > 1 or found["tier_3"] == "ok")
        self.observability.ready(ready)
        wrong = "; ".join(f"{tier_words(name)}: {state}" for name, state in found.items() if state != "ok")
        return Readiness(
            ready=ready, model=served.key.model, tiers=found, reason=wrong or None, **served.marks.fields
        )

    async def _probe_tier_3(self, served: ServedModel, batch: Batch) -> str:
        assert self._ask_tier_3 is not None
        try:
            async with asyncio.timeout(PROBE_S):
                await self._ask_tier_3(served.key, batch)
        except TimeoutError:
            return f"no answer within {PROBE_S:g} s"
        except Exception as error:  # reported, whatever it is
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'}"
        if wait_ms := self._breaker.wait_ms:
            return f"answers, but is not asked for {wait_ms:.0f} ms: its last answers failed or came too late"
        return "ok"
