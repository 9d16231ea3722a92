"""One replica's decisions without Ray and without HTTP: caches, rules and tiers of the model that is served.

Owns       the way of one request: parse, look up its id, read its rows, tiers 1 and 2, tier 3 where time is
           left, names.
Units      times ms from the arrival of a request; clocks are monotonic.
Invariant  a request is decided by one model from beginning to end, whatever is reloaded meanwhile.
Threads    the event loop: tiers 1 and 2 take about 0.1 ms, less than handing them to a thread would.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import ValidationError
from pydantic_core import to_json

from kalshi_platform.data.features.spec import SPEC
from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.models.registry.export import probes
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    FeatureInfo,
    ModelInfo,
    Readiness,
    ShadowFound,
)
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier
from kalshi_platform.serving.inference.tiered import Pending, TieredPolicy, TierError, free
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.breaker import Breaker
from kalshi_platform.serving.server.example import example_request
from kalshi_platform.serving.server.feature_cache import CLASS_OF_COLUMN, FeatureCache, FeatureClass
from kalshi_platform.serving.server.idempotency import Answers, RequestIdReusedError
from kalshi_platform.serving.server.models import Models, Served
from kalshi_platform.serving.server.observer import Observer
from kalshi_platform.serving.server.problems import Problem, of_validation
from kalshi_platform.serving.server.reading import Asked, Reader, answer_of, columns_of

#: Less time than one hop to tier 3 takes: asking would only be late.
MIN_FULL_MS: Final = 1.0
#: The same where tier 3 is asked in this process.
MIN_HERE_MS: Final = 0.2
_NOTHING: Final = Note(0)
#: How long readiness waits for tier 3.
PROBE_S: Final = 1.0

#: Asks tier 3 elsewhere: (whose, question) -> its decisions.
AskFull = Callable[[Served, Batch], Awaitable[Decisions]]


class _Begun(NamedTuple):
    """A request about a batch after cache, rules, tiers 1 and 2."""

    request_id: str
    served: Served
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
        models: Models,
        ask_full: AskFull | None = None,
        *,
        observer: Observer,
        later: Callable[[Callable[[], None]], object] = lambda act: act(),
    ) -> None:
        """``ask_full`` None: tier 3 is asked in this process; else where it would take longer than a hop.

        ``later`` is given what no answer need wait for: counting, logging, recording; none: at once.
        """
        self._later = later
        self.args, self.observer = args, observer
        self.models, self._ask_full = models, ask_full
        self._breaker = Breaker(args.breaker, time.monotonic_ns, observer.tier3_paused)
        self._features: FeatureCache | None = None
        self._answers = Answers(args.limits.answers, time.monotonic_ns)
        self._reader: tuple[int, Reader] | None = None

    def served(self) -> Served:
        """The model that answers now; Problem 503 before the first is loaded."""
        found = self.models.current()
        if found is None:
            raise Problem(
                503, "no-model", "no model is loaded yet: ask again shortly", headers={"Retry-After": "1"}
            )
        return found

    def reader(self, served: Served) -> Reader:
        """What reads rows for ``served``; what markets sent is kept over a reload that reads the same."""
        if self._reader is None or self._reader[0] != served.number:
            spec, limits = served.policy.spec, self.args.limits
            if self._features is None or self._features.names != columns_of(spec):
                self._features = FeatureCache(columns_of(spec), limits.features)
            reader = Reader(spec, served.policy.window, self._features, limits.groups)
            self._reader = (served.number, reader)
        return self._reader[1]

    def warm(self) -> None:
        """Read made-up requests, so that every kernel is compiled before a client waits for it."""
        policy = self.served().policy
        cache = FeatureCache(columns_of(policy.spec))  # what is made up is not remembered
        reader = Reader(policy.spec, policy.window, cache, 1)
        for packed in (True, False):
            reader.read(example_request(self.info(), packed=packed), "warm", 0)

    async def decide(self, client: str, body: bytes, arrived_ns: int) -> bytes:
        """The answer to a request as JSON; Problem says what is wrong with it."""
        try:
            request = DecideRequest.model_validate_json(body)
        except ValidationError as error:
            raise of_validation(error) from None
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
        """The answer, or what to await for it where tier 3 is asked elsewhere."""
        served = self.served()
        if request.feature_digest != served.policy.spec.feature_digest:
            raise Problem(
                409,
                "feature-digest",
                f"the rows are of feature table {request.feature_digest!r}, model {served.model} reads "
                f"{served.policy.spec.feature_digest!r}: compute them with the release that trained it",
                "feature_digest",
            )
        asked = self.reader(served).read(request, client, parsed_ns)
        read_ns = time.monotonic_ns()
        stages_ns = {"parse": parsed_ns - arrived_ns, "read": read_ns - parsed_ns}
        deadline_ns = arrived_ns + round((request.deadline_ms or self.args.deadline_ms) * NS_PER_MS)
        begun = self._begin(request.request_id, served, asked.batch, deadline_ns, stages_ns)

        def told(decisions: Decisions) -> bytes:
            done_ns = time.monotonic_ns()
            stages_ns["decide"] = done_ns - read_ns
            stages_ns["total"] = done_ns - arrived_ns
            return self._told(request, served, asked, decisions, stages_ns)

        if self._waits(begun):
            return self._awaited(begun, told)
        return told(self._here(begun))

    async def _awaited(self, begun: _Begun, told: Callable[[Decisions], bytes]) -> bytes:
        return told(await self._elsewhere(begun))

    def _told(
        self,
        request: DecideRequest,
        served: Served,
        asked: Asked,
        decisions: Decisions,
        stages_ns: dict[str, int],
    ) -> bytes:
        """The answer as JSON; counted and logged later."""
        timings_ms = {name: taken / NS_PER_MS for name, taken in stages_ns.items()}

        def tell() -> None:
            self.observer.decided(request.request_id, served, decisions, timings_ms, asked.occupied)
            if asked.stale_ns:
                self.observer.filled(asked.stale_ns)

        self._later(tell)
        return to_json(
            {
                "request_id": request.request_id,
                "model": served.model,
                "tier_set": served.tier_set,
                "groups": answer_of(request, decisions),
                "timings_ms": timings_ms,
            }
        )

    async def decide_batch(
        self, request_id: str, served: Served, batch: Batch, deadline_ns: int, stages_ns: dict[str, int]
    ) -> Decisions:
        """The decisions of the highest tier that is needed and done before ``deadline_ns``.

        Adds to ``stages_ns`` where the time went; tells the models and the observer how it went.
        """
        begun = self._begin(request_id, served, batch, deadline_ns, stages_ns)
        return await self._elsewhere(begun) if self._waits(begun) else self._here(begun)

    def _begin(
        self, request_id: str, served: Served, batch: Batch, deadline_ns: int, stages_ns: dict[str, int]
    ) -> _Begun:
        """Cache, rules, tiers 1 and 2."""
        policy, now_ns = served.policy, time.monotonic_ns()
        failures = policy.failures.total()
        pending = policy.decide_fast(batch, now_ns)
        stages_ns.update(pending.stages_ns)
        failed = policy.failures.total() > failures
        return _Begun(request_id, served, pending, deadline_ns, now_ns, failed, stages_ns)

    def asks_here(self, served: Served) -> bool:
        """Whether tier 3 of ``served`` is asked in this process."""
        return self._ask_full is None or served.full_ms < self.args.tier3_inside_ms

    def _waits(self, begun: _Begun) -> bool:
        """Whether tier 3 is to be asked, and elsewhere."""
        return bool(begun.pending.open.size) and not self.asks_here(begun.served)

    def _here(self, begun: _Begun) -> Decisions:
        """The decisions of what nothing need be waited for."""
        pending, at_ns = begun.pending, time.monotonic_ns()
        if not pending.open.size:
            return self._settle(begun, None)
        if begun.deadline_ns - at_ns < MIN_HERE_MS * NS_PER_MS:
            return self._settle(begun, None, Note.DEADLINE)
        try:
            full = begun.served.policy.ask(int(Tier.FULL), pending.question, pending.now_ns)
        except TierError as error:
            return self._lost(begun, error, is_models_fault=True)
        finally:
            begun.stages_ns["tier_3"] = time.monotonic_ns() - at_ns
        return self._settle(begun, full)

    async def _elsewhere(self, begun: _Begun) -> Decisions:
        """The decisions with tier 3's answer from where it is, or of the tiers below without it."""
        at_ns = time.monotonic_ns()
        try:
            full, why = await self._full(
                begun.served, begun.pending, (begun.deadline_ns - at_ns) / NS_PER_SECOND
            )
        except Exception as error:  # a failed network, a dead replica, a lost handle: all mean the same
            return self._lost(begun, error, is_models_fault=isinstance(error, TierError))
        finally:
            begun.stages_ns["tier_3"] = time.monotonic_ns() - at_ns
        return self._settle(begun, full, why)

    def _lost(self, begun: _Begun, error: Exception, *, is_models_fault: bool) -> Decisions:
        """The decisions of the tiers below: the third one failed."""
        self.observer.fell_back(begun.request_id, begun.served.model, int(Tier.FULL), error)
        failed = begun.failed or is_models_fault  # not its host's
        return self._settle(begun._replace(failed=failed), None, Note.FALLBACK)

    def _settle(self, begun: _Begun, full: Decisions | None, why: Note = _NOTHING) -> Decisions:
        """The decisions, and the models told how it went."""
        served, batch = begun.served, begun.pending.batch
        decisions = served.policy.finish(begun.pending, full, why)
        taken_ns = time.monotonic_ns() - begun.now_ns
        if begun.failed:
            self.models.failed(served, taken_ns)
        else:
            self._later(lambda: self.models.answered(served, batch, decisions, taken_ns))
        return decisions

    async def _full(self, served: Served, pending: Pending, left_s: float) -> tuple[Decisions | None, Note]:
        """Tier 3's answer to what is open, or that there is no time for it; raises whatever it raises."""
        if left_s * 1_000 < MIN_FULL_MS:
            return None, Note.DEADLINE
        assert self._ask_full is not None  # else it is asked here
        if not self._breaker.allows():
            return None, Note.FALLBACK
        try:
            async with asyncio.timeout(left_s):
                full = await self._ask_full(served, pending.question)
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
        return full, Note(0)

    def info(self) -> ModelInfo:
        """What is served and what it wants to be shown."""
        served = self.served()
        spec, tiers = served.policy.spec, served.policy.tiers
        known = {feature.name: feature for feature in SPEC}
        reader = self.reader(served)
        return ModelInfo(
            model=served.model,
            tier_set=served.tier_set,
            tiers=[tier.number for tier in tiers],
            forms={str(tier.number): tier.engine.form for tier in tiers},
            tier3_asked=self._tier3_asked(served),
            alias=self.args.model,
            feature_digest=spec.feature_digest,
            columns=[
                FeatureInfo(
                    name=name, group=known[name].group, low=known[name].low, high=known[name].high,
                    max_age_ms=self._max_age_ms(name),
                )
                for name in reader.columns
            ],
            n_slots=spec.n_slots,
            window=served.policy.window,
            history_columns=[feature.name for feature in reader.history],
            actions=list(ACTION_NAMES),
        )  # fmt: skip

    def _tier3_asked(self, served: Served) -> Literal["replica", "deployment", "nowhere"]:
        if served.policy.tiers[-1].number != Tier.FULL:
            return "nowhere"
        return "replica" if self.asks_here(served) else "deployment"

    def _max_age_ms(self, name: str) -> int | None:
        bounds = self.args.limits.features
        ages = {FeatureClass.SLOW: bounds.slow_ms, FeatureClass.STATIC: bounds.static_ms}
        return ages.get(CLASS_OF_COLUMN[name])

    def shadow(self) -> ShadowFound | None:
        """What the model in the shadow would have done; None where there is none."""
        found = self.models.shadow()
        if found is None:
            return None
        pairs = {f"{ours} > {its}": n for (ours, its), n in found.pairs.items()}
        return ShadowFound(**{**found._asdict(), "pairs": pairs})

    async def ready(self) -> Readiness:
        """Ask every tier about a seeded observation; not ready where one in this process fails."""
        served = self.models.current()
        if served is None:
            self.observer.ready(False)
            return Readiness(ready=False, model=None, tiers={}, reason="no model is loaded yet")
        policy, now_ns = served.policy, time.monotonic_ns()
        batch = probe_batch(policy)
        found: dict[str, str] = {}
        for tier in policy.tiers:
            if tier.number == Tier.FULL and not self.asks_here(served):
                continue
            try:
                policy.ask(tier.number, batch, now_ns)
                found[str(tier.number)] = "ok"
            except TierError as error:
                found[str(tier.number)] = str(error)
        ready = all(state == "ok" for state in found.values())
        if not self.asks_here(served):
            found["3"] = await self._probe_full(served, batch)
            # Without tiers below it nobody decides in its place: HOLD would be all there is to say.
            ready = ready and (len(found) > 1 or found["3"] == "ok")
        self.observer.ready(ready)
        wrong = "; ".join(f"tier {number}: {state}" for number, state in found.items() if state != "ok")
        return Readiness(ready=ready, model=served.model, tiers=found, reason=wrong or None)

    async def _probe_full(self, served: Served, batch: Batch) -> str:
        assert self._ask_full is not None
        try:
            async with asyncio.timeout(PROBE_S):
                await self._ask_full(served, batch)
        except TimeoutError:
            return f"no answer within {PROBE_S:g} s"
        except Exception as error:  # reported, whatever it is
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'}"
        if wait_ms := self._breaker.wait_ms:
            return f"answers, but is not asked for {wait_ms:.0f} ms: its last answers failed or came too late"
        return "ok"

    async def close(self) -> None:
        """Forget everything in flight."""
        await self._answers.close()


def probe_batch(policy: TieredPolicy) -> Batch:
    """One seeded group with every slot full."""
    spec = policy.spec
    flat, _ = probes(spec, 1)
    windows = np.zeros((1, spec.n_slots, policy.window, spec.n_history), np.float32)
    return Batch(flat, windows if policy.window else None, free(1, spec.n_slots))
