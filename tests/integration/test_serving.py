"""Real Serve behind HAProxy: three ways to ask agree, and nothing that happens to models costs a request."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
import psutil
import pytest
from made import checked_load
from made.checked_load import Load, served_here
from made.live_capture import in_order, simulated
from made.prometheus import all_queries, names_in
from made.registry_models import DATASET, made_policy, made_record
from made.stream_texts import NOW_NS, texts_of
from websockets.asyncio.client import ClientConnection, connect

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierRecord, TierSet, add_tier_set
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.live.stream import StreamSession
from serve_deployments.local import NICENESS, free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("serve_child.py")
ADMIN = "admin-token-of-tests-1"
#: Requests a second while something happens; enough for every replica to be asked all the time.
RATE = 40.0
#: Requests in flight at once: on a busy machine more would only wait for each other, beyond the deadline.
MOST = 4
ACTIONS = ("HOLD", "BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO")


def registered(registry: Registry, seed: int, *, broken: bool = False) -> str:
    """A model with tiers 1 and 3, no group sure at tier 1; ``broken``: its logits are not finite."""
    whole, small = made_policy("simple", seed), made_policy("tiny", seed)
    if broken:
        whole.network.action_head[-1].weight.fill_(3e38)  # their sums are beyond every number
    model = registry.add(*made_record(whole))
    weights = export_weights(small)
    tiers = (
        TierRecord(number=1, spec=small.spec, weights="one.safetensors", temperature=1, exit_threshold=0.999),
        TierRecord(number=3, spec=whole.spec, weights=WEIGHTS_NAME, temperature=1, exit_threshold=None),
    )
    tier_set = TierSet(
        model=model.id, dataset_digest=DATASET, tiers=tiers, max_value_loss=0.01, machine="here",
        artefacts={"one.safetensors": hashlib.sha256(weights).hexdigest()},
        created_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    add_tier_set(registry, tier_set, {"one.safetensors": weights})
    return model.id


class World(NamedTuple):
    """The served application and its registry."""

    url: str
    registry: Registry
    models: tuple[str, ...]  # two good ones, the first of them champion, and a broken one
    command: Callable[[str], str]
    metrics_port: int
    earlier: str  # a good model that was champion before anybody served
    pid: int  # of the process that started Ray


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("serving")
    registry = Registry(folder / "registry")
    models = (registered(registry, 0), registered(registry, 1), registered(registry, 2, broken=True))
    earlier = registered(registry, 4)
    registry.promote(CHAMPION, earlier, reason="before the service", evidence="e" * 12)
    registry.promote(CHAMPION, models[0], reason="first", evidence="e" * 12)
    registry.promote(CHALLENGER, models[1], reason="to be compared")
    (folder / "admins").write_text(ADMIN)
    args = {
        "registry": str(folder / "registry"),
        "shadow": CHALLENGER,
        "access": {"require_token": False, "admin_token_file": str(folder / "admins")},
        "limits": {"rates": {"rate_per_s": 10_000, "burst": 10_000}},
        # Two networks that were never trained decide alike by chance only; other tests share the machine.
        "check": {"min_agreement": 0.0, "latency_factor": 100.0},
        "watch": {"max_p99_ms": 5_000.0, "worse_p99_ms": 5_000.0},
        "replicas": 2, "replica_cpus": 0, "tier_3_cpus": 0, "deadline_ms": 1_000.0, "poll_s": 0.2,
        "health_check_s": 1.0, "inference_ttl_ms": 0, "tier_3_inside_ms": 0.0,
    }  # fmt: skip
    (folder / "args.json").write_text(json.dumps(args))
    port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder / "args.json"), str(port), str(metrics_port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            # Without the niceness that tests give to every Ray: serving sets its own.
            env={**{n: v for n, v in os.environ.items() if n != NICENESS}, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None

    def command(line: str) -> str:
        child.stdin.write(line + "\n")
        child.stdin.flush()
        return child.stdout.readline()

    try:
        if not child.stdout.readline().startswith(
            "ready"
        ):  # the pipe's end: the child is gone, its log whole
            pytest.fail(f"serve_child.py ended with {child.wait(60)}:\n{(folder / 'log').read_text()}")
        yield World(f"http://127.0.0.1:{port}", registry, models, command, metrics_port, earlier, child.pid)
    finally:
        child.stdin.close()
        child.wait(timeout=600)
        child.stdout.close()


def under_load(world: World, *, may_retry: bool = False) -> AbstractAsyncContextManager[Load]:
    """A steady load: at the end every request of it was answered, and none wrong."""
    return checked_load.under_load(world.url, world.registry, may_retry=may_retry, rate=RATE, most=MOST)


async def admin(world: World, method: str, path: str, **keywords: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(world.url, headers={"Authorization": f"Bearer {ADMIN}"}) as session,
        session.request(method, path, **keywords) as found,
    ):
        return found.status, json.loads(await found.text())


def as_request(batch: Batch, policy: TieredPolicy, info: dict[str, Any]) -> dict[str, Any]:
    """Groups of a batch as a client would send them."""
    n, s, f, p = batch.n, policy.spec.n_slots, len(policy.spec.market), len(policy.spec.portfolio)
    market, own, slots, allowed = np.split(batch.flat, np.cumsum([s * f, s * p, s]), axis=1)
    rows = np.concatenate([market.reshape(n, s, f), own.reshape(n, s, p)], axis=2).astype(float)
    assert batch.windows is not None

    def market_of(g: int, k: int) -> dict[str, Any]:
        return {
            "id": str(k),
            "state": "active" if slots[g, k] else "paused",
            "row": rows[g, k].tolist(),
            "allowed": [ACTIONS[a] for a in np.flatnonzero(allowed.reshape(n, s, 5)[g, k])],
            "history": batch.windows[g, k].astype(float).tolist(),
        }

    return {
        "request_id": "parity",
        "feature_digest": info["feature_digest"],
        "columns": [column["name"] for column in info["columns"]],
        "groups": [{"markets": [market_of(g, k) for k in range(s)]} for g in range(n)],
    }


def test_http_the_stream_and_the_process_decide_the_same_events_alike(world: World, tmp_path: Path):
    texts = texts_of(in_order(read_frames(simulated(tmp_path, messages_per_market=50))))
    served = served_here(world.registry, world.models[0])
    policy = served.policy
    opening = {"type": "open", "decision_interval_ms": 0, "probabilities": True}
    session = StreamSession("here", OpenMessage.parse(opening), served)
    batches: list[Batch] = []

    def decide(batch: Batch, now_ns: int) -> Any:
        batches.append(batch)
        return policy.decide(batch, now_ns)

    here = [json.loads(m) for text in texts for m in session.step(text, NOW_NS, decide)]

    async def elsewhere() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        async with aiohttp.ClientSession(world.url) as client:
            async with client.get("/v1/model") as found:
                info = await found.json()
            joined = Batch(*(np.concatenate([getattr(b, f) for b in batches[:100]]) for f in Batch._fields))
            async with client.post("/v1/decide", json=as_request(joined, policy, info)) as found:
                answer = await found.json()
                assert found.status == 200, answer
        async with connected(world) as socket:
            opened, *told = await asked(socket, opening, texts, len(here))
        assert opened["type"] == "opened"
        return told, answer

    told, answer = asyncio.run(elsewhere())
    assert len(batches) >= 50
    assert [without_numbers(m) for m in told] == [without_numbers(m) for m in here]
    for mine, theirs in zip(here, told, strict=True):
        for ticker, row in mine.get("probabilities", {}).items():
            assert theirs["probabilities"][ticker] == pytest.approx(row, abs=1e-4)
    expected = [policy.decide(batch, 0) for batch in batches[:100]]
    actions = [a for d in expected for a in d.actions.tolist()]
    named = [[ACTIONS[a] for a in row] for row in actions]
    assert [list(g["actions"].values()) for g in answer["groups"]] == named


def without_numbers(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs by rounding between two forms of one network."""
    return {k: v for k, v in message.items() if k not in ("probabilities", "confidence")}


def test_no_process_of_the_service_gives_way_to_other_programs(world: World):
    found: list[tuple[str, int]] = []
    for each in psutil.Process(world.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # Ray ends idle workers
            found.append((" ".join(each.cmdline()), each.nice()))
    for name in ("haproxy", "raylet", "policy:Ingress", "policy:Tier3"):
        assert any(name in words for words, _ in found), (name, found)
    assert {niceness for _, niceness in found} == {psutil.Process().nice()}, found


def test_a_broken_stream_goes_on_where_it_stood(world: World, tmp_path: Path):
    texts = texts_of(in_order(read_frames(simulated(tmp_path, messages_per_market=50))))
    half = len(texts) // 2
    served = served_here(world.registry, world.models[0])
    opening = {"type": "open", "decision_interval_ms": 0}
    session = StreamSession("here", OpenMessage.parse(opening), served)
    before, after = (
        [json.loads(m) for text in part for m in session.step(text, NOW_NS, served.policy.decide)]
        for part in (texts[:half], texts[half:])
    )

    async def scenario() -> list[dict[str, Any]]:
        async with connected(world) as socket:
            told = await asked(socket, opening, texts[:half], len(before))
        again = {"type": "open", "session": told[0]["session"], "decide_after": half}
        for _ in range(20):  # of two replicas one has the session
            async with connected(world) as socket:
                more = await asked(socket, again, [], 0)
                if not more[0]["resumed"]:
                    continue
                assert more[0]["next_frame"] == half + 1
                return [*told[1:], *await answers(socket, texts[half:], len(after))]
        raise AssertionError("no replica had the session")

    told = asyncio.run(scenario())
    assert [without_numbers(m) for m in told] == [without_numbers(m) for m in (*before, *after)]


def connected(world: World) -> connect:
    """A connection to the stream, by ``async with``."""
    return connect(f"{world.url.replace('http', 'ws', 1)}/v1/stream", proxy=None, max_queue=None)


async def asked(
    socket: ClientConnection, opening: dict[str, Any], texts: list[str], n: int
) -> list[dict[str, Any]]:
    """What opening a stream and sending ``texts`` is answered by, ``opened`` and ``n`` messages."""
    return await answers(socket, [json.dumps(opening), *texts], 1 + n)


async def answers(socket: ClientConnection, texts: list[str], n: int) -> list[dict[str, Any]]:
    for text in texts:
        await socket.send(text)
    return [json.loads(await asyncio.wait_for(socket.recv(), 120)) for _ in range(n)]


def test_a_challenger_is_compared_beside_the_answers(world: World):
    async def scenario() -> dict[str, Any]:
        async with under_load(world), asyncio.timeout(300):
            while True:
                _, told = await admin(world, "GET", "/v1/models/events")
                if told["shadow"] is not None and told["shadow"]["groups"]:
                    return dict(told)
                await asyncio.sleep(0.1)

    told = asyncio.run(scenario())
    found = told["shadow"]
    assert (found["model"], found["failures"], found["switched_off"]) == (world.models[1], 0, "")
    assert 0 < found["slots"] <= 2 * found["groups"]
    assert "shadowed" in [event["kind"] for event in told["events"]]


def test_a_promoted_model_is_swapped_in_under_load(world: World):
    first, second, _ = world.models

    async def scenario() -> Load:
        async with under_load(world) as load:
            await load.until(lambda answer: answer["model"] == first, 10)
            await asyncio.to_thread(world.registry.promote, CHAMPION, second, reason="better")
            await load.every_replica_serves(second)
            await both_replicas_serve(world, second)
        return load

    load = asyncio.run(scenario())
    assert {asked.answer["model"] for asked in load.done} == {first, second}


def test_a_bad_model_is_refused_under_load_and_the_reason_told(world: World):
    _, second, broken = world.models

    async def scenario() -> tuple[Load, int, Any]:
        async with under_load(world) as load:
            await asyncio.to_thread(world.registry.promote, CHAMPION, broken, reason="a mistake")
            status, told = await admin(world, "POST", "/v1/models/reload")
            async with asyncio.timeout(300):
                while "refused" not in (await kinds(world)):
                    await asyncio.sleep(0.1)
            await load.until(lambda answer: True, len(load.done) + 40)
            seen = world.registry.aliases()
            await asyncio.to_thread(world.registry.rollback, CHAMPION, reason="a mistake", seen=seen)
        return load, status, told

    load, status, told = asyncio.run(scenario())
    assert {asked.answer["model"] for asked in load.done} == {second}
    assert (status, told["type"]) == (409, "/problems/model-refused")  # also where it was refused before


async def both_replicas_serve(world: World, model: str) -> None:
    """Wait until two replicas have said that they serve ``model``: one that is slow may answer late.

    Each is known by the time of its first event.
    """
    found: set[int] = set()
    async with asyncio.timeout(300):
        while len(found) < 2:
            _, told = await admin(world, "GET", "/v1/models/events")
            if told["model"] == model:
                found.add(told["events"][0]["at_ns"])
            await asyncio.sleep(0.05)


async def kinds(world: World) -> list[str]:
    status, told = await admin(world, "GET", "/v1/models/events")
    assert status == 200
    return [event["kind"] for event in told["events"]]


def test_a_rollback_by_hand_brings_the_model_before_back_in_every_replica(world: World):
    first, second, _ = world.models

    async def scenario() -> tuple[Load, int, Any]:
        async with under_load(world) as load:
            await load.until(lambda answer: answer["model"] == second, 10)
            status, told = await admin(
                world, "POST", "/v1/models/rollback", json={"reason": "it trades too much"}
            )
            await load.every_replica_serves(first)
            await both_replicas_serve(world, first)
        return load, status, told

    _, status, told = asyncio.run(scenario())
    assert (status, told["model"]) == (200, first)
    assert {"simulated", "cautions"} <= told.keys()  # what every answer says of its model
    assert world.registry.aliases().model(CHAMPION) == first


def test_without_tier_3_lower_tiers_answer_until_it_is_back(world: World):
    async def scenario() -> Load:
        async with under_load(world) as load:
            await load.until(lambda answer: answer["groups"][0]["tier"] == "tier_3", 10)
            await asyncio.to_thread(world.command, "kill Tier3")
            await load.until(lambda answer: answer["groups"][0]["tier"] == "tier_1", 1)
            await load.until(lambda answer: answer["groups"][0]["tier"] == "tier_3", 40)
        return load

    load = asyncio.run(scenario())
    notes = Counter(note for asked in load.done for note in asked.answer["groups"][0]["notes"])
    assert notes.keys() <= {"deadline", "fallback"}
    assert notes.total() > 0


def haproxies(world: World) -> set[int]:
    """Process ids of every HAProxy of the service."""
    found: set[int] = set()
    for each in psutil.Process(world.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if each.name() == "haproxy":
                found.add(each.pid)
    return found


def test_a_killed_replica_costs_only_what_was_in_flight_and_one_retry_answers_that(world: World):
    async def scenario() -> tuple[Load, float, float]:
        async with under_load(world, may_retry=True) as load:
            before, killed_s = haproxies(world), time.monotonic()
            await asyncio.to_thread(world.command, "kill Ingress")
            async with asyncio.timeout(300):  # Serve starts an HAProxy that never knew the killed one
                while before & haproxies(world):
                    await asyncio.sleep(0.05)
            replaced_s = time.monotonic()
            await load.until(lambda answer: True, len(load.done) + 80)
        return load, killed_s, replaced_s

    load, killed_s, replaced_s = asyncio.run(scenario())
    twice = [asked.sent_s for asked in load.done if asked.attempts > 1]
    assert all(killed_s < second_s for _, second_s in twice), "before the kill nothing is lost"
    assert all(first_s < replaced_s for first_s, _ in twice), "where nobody knows the killed one nothing is"
    # Each connection of HAProxy to the killed one loses one request at most: those in flight, and the idle.
    assert len(twice) <= 2 * MOST


def test_a_refused_model_answers_no_request_after_every_replica_was_killed(world: World):
    windowless = world.registry.add(*made_record(made_policy("tiny", 3))).id
    first = world.models[0]

    async def scenario() -> tuple[Counter[str], list[str], tuple[int, Any]]:
        await asyncio.to_thread(world.registry.promote, CHAMPION, windowless, reason="a mistake")
        answer = await admin(world, "POST", "/v1/models/reload")
        for _ in range(2):
            await asyncio.to_thread(world.command, "kill Ingress")
            await every_probe_is_ready(world)
        found = await models_of_answers(world, 1_000)
        return found, await kinds(world), answer

    seen = world.registry.aliases()
    try:
        found, happened, (status, told) = asyncio.run(scenario())
    finally:
        world.registry.rollback(CHAMPION, reason="a mistake")
    assert (status, told["type"]) == (409, "/problems/model-refused")
    assert "clients of the active model send 16" in told["detail"]
    assert found == {first: 1_000}
    assert happened[:2] == ["refused", "loaded"]  # it began with what stood, and knew of the refusal
    number = seen.number + 1
    assert {v.fault for v in world.registry.verdicts(CHAMPION, number)} == {"model"}


def test_a_rollback_to_a_model_that_cannot_be_served_changes_no_alias_and_no_answer(world: World):
    """Asked of replicas that just started: none of them holds a model to go back to."""
    (file,) = Path(world.registry.uri).glob(f"**/{world.earlier}/{WEIGHTS_NAME}")
    whole = file.read_bytes()
    file.write_bytes(bytes([*whole[:-1], whole[-1] ^ 1]))
    before = world.registry.aliases()

    async def scenario() -> tuple[Load, int, Any]:
        async with under_load(world) as load:
            status, told = await admin(world, "POST", "/v1/models/rollback", json={"reason": "worse"})
            await load.until(lambda answer: True, len(load.done) + 40)
        return load, status, told

    try:
        load, status, told = asyncio.run(scenario())
    finally:
        file.write_bytes(whole)
    assert (status, told["type"]) == (409, "/problems/no-rollback"), told
    assert f"{world.earlier}, which {CHAMPION} named before, cannot be served here" in told["detail"]
    assert world.registry.aliases() == before
    assert {asked.answer["model"] for asked in load.done} == {world.models[0]}


async def every_probe_is_ready(world: World) -> None:
    """Wait for 40 ready answers in a row: both replicas are there again; four minutes at most."""
    in_a_row = 0
    async with asyncio.timeout(240), aiohttp.ClientSession(world.url) as session:
        while in_a_row < 40:
            try:
                async with session.get("/v1/readyz") as answer:
                    is_ready = answer.status == 200
            except aiohttp.ClientError:
                is_ready = False
            in_a_row = in_a_row + 1 if is_ready else 0
            await asyncio.sleep(0.05)


async def models_of_answers(world: World, n: int) -> Counter[str]:
    """How many of ``n`` requests each model answered; a request may be sent a second time."""
    async with aiohttp.ClientSession(world.url) as session:
        load = Load(world.url, session, await checked_load.some_bodies(session), may_retry=True, rate=RATE)
        for first in range(0, n, 20):
            await asyncio.gather(*(load.ask(first + k) for k in range(20)))
    return Counter(str(asked.answer.get("model", asked.status)) for asked in load.done)


def test_every_series_that_boards_and_rules_read_is_exported(world: World):
    """After all that happened here; those that need what no test provokes are named, with the reason."""
    unseen = {
        "ray_node_manager_unexpected_worker_failure_total": "begins with the first lost worker",
        "ray_kalshi_serve_feature_age_seconds_bucket": "seen where a stream decided",
        "ray_kalshi_serve_cache_looks_total": "answers are not cached here, and tier 3 keeps its codes",
    }
    wanted = {name for query in all_queries() for name in names_in(query.expression)} - {*unseen}
    address = f"http://127.0.0.1:{world.metrics_port}/metrics"

    async def missing() -> set[str]:
        async with aiohttp.ClientSession() as session, session.get(address) as found:
            text = await found.text()
        return wanted - set(re.findall(r"^(ray_\w+)[{ ]", text, re.MULTILINE))

    async def scenario() -> set[str]:
        async with under_load(world):
            for _ in range(240):  # Ray gathers every ten seconds, on a busy machine more rarely
                if not (left := await missing()):
                    break
                await asyncio.sleep(1)
            return left

    assert asyncio.run(scenario()) == set()


def test_a_counter_is_exported_at_zero_before_its_first_event(world: World):
    async def scenario() -> str:
        address = f"http://127.0.0.1:{world.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as found:
            return await found.text()

    text = asyncio.run(scenario())
    failed = re.findall(r'^ray_kalshi_serve_requests_total{.*outcome="failed".*} (\S+)$', text, re.MULTILINE)
    assert failed
    assert {float(value) for value in failed} == {0.0}  # nothing failed, and a first failure will be seen
