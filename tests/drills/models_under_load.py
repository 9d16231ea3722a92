"""Models that change under load, on real Serve: every answer is held against its model (`make overload`).

    PYTHONPATH=.:tests:tests/integration:tests/drills python tests/drills/models_under_load.py OUT

Two replicas behind HAProxy, looking at the registry as often as they do by default, RATE requests a second:
a model is promoted, a broken one refused, a replica killed while the broken one is named, the mistake undone,
a rollback by hand, both replicas killed, and a rollback to a model that cannot be served. OUT/models.md says
of each what was answered, and how long two replicas answered with different models.

Exit status 1 where an answer was wrong, came from the refused model or never came, where two replicas
differed longer than one look at the registry, or a rollback that cannot be served changed the alias.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from made.checked_load import Expected, Load, disagreed_s, some_bodies
from own_server import Server, serving
from test_serving import ADMIN, registered

from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.server.args import PolicyAppArgs

RATE, POLL_S = 100.0, float(PolicyAppArgs.model_fields["poll_s"].default)
#: Answers in a row of one model after which both replicas are taken to answer with it.
IN_A_ROW = 200


class Step(NamedTuple):
    """One thing that happened to the models."""

    words: str
    took_s: float  # until the service was as it should be
    answers: int
    retried: int
    disagreed_s: float
    told: str


class Story:
    """The steps so far, and the load beside them."""

    def __init__(self, server: Server, registry: Registry, load: Load) -> None:
        self.server, self.registry, self.load = server, registry, load
        self.steps: list[Step] = []
        self._from, self._begun_s = 0, time.monotonic()

    def begin(self) -> None:
        self._from, self._begun_s = len(self.load.done), time.monotonic()

    def end(self, words: str, told: str = "", models: tuple[str, str] | None = None) -> None:
        """Note the step that began; ``models``: before and after, where the answering one changed."""
        mine = self.load.done[self._from :]
        differed_s = disagreed_s(mine, *models) if models else 0.0
        took_s = time.monotonic() - self._begun_s
        step = Step(words, took_s, len(mine), sum(a.attempts > 1 for a in mine), differed_s, told)
        self.steps.append(step)
        print(f"{step.words}: {step.took_s:.1f} s, {step.answers} answers, {step.retried} retried, "
              f"{step.disagreed_s:.2f} s of two models; {step.told}", flush=True)  # fmt: skip

    async def admin(self, path: str, **body: Any) -> tuple[int, str]:
        """Status and detail of a call of the administrator."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with (
            aiohttp.ClientSession(self.server.url, headers=headers) as session,
            session.post(path, **({"json": body} if body else {})) as found,
        ):
            said = await found.json(content_type=None)
        return found.status, str(said.get("detail", said.get("model", "")))

    async def kill(self, n: int) -> None:
        """Kill ``n`` replicas one after the other, and wait until as many serve as before."""
        wanted = len(self.server.replicas("Ingress"))
        for _ in range(n):
            await asyncio.to_thread(self.server.command, "kill Ingress")
            await asyncio.sleep(1)
            async with asyncio.timeout(240):
                while len(self.server.replicas("Ingress")) < wanted or not await self._all_ready():
                    await asyncio.sleep(0.2)

    async def _all_ready(self) -> bool:
        """True where 20 probes in a row were answered ready."""
        async with aiohttp.ClientSession(self.server.url) as session:
            for _ in range(20):
                try:
                    async with session.get("/v1/readyz") as answer:
                        if answer.status != 200:
                            return False
                except aiohttp.ClientError:
                    return False
        return True


async def told(story: Story, models: list[str]) -> list[str]:
    """Let everything happen; returns what is wrong beside the answers."""
    first, second, broken = models
    registry, load, wrong = story.registry, story.load, list[str]()
    story.begin()
    await asyncio.to_thread(registry.promote, CHAMPION, second, reason="better")
    await load.every_replica_serves(second, IN_A_ROW)
    story.end("a model is promoted", models=(first, second))

    story.begin()
    await asyncio.to_thread(registry.promote, CHAMPION, broken, reason="a mistake")
    status, detail = await story.admin("/v1/models/reload")
    await asyncio.sleep(2 * POLL_S)
    story.end("a broken model is promoted and refused", f"{status}: {detail}")
    if status != 409:
        wrong.append(f"reload of a broken model was answered {status}")

    story.begin()
    await story.kill(1)
    story.end("a replica is killed while the alias names the broken model")

    story.begin()
    seen = registry.aliases()
    await asyncio.to_thread(registry.rollback, CHAMPION, reason="a mistake", seen=seen)
    await asyncio.sleep(2 * POLL_S)
    story.end("the mistake is undone")

    story.begin()
    status, detail = await story.admin("/v1/models/rollback", reason="it trades too much")
    await load.every_replica_serves(first, IN_A_ROW)
    story.end("a rollback by hand", f"{status}: {detail}", (second, first))

    story.begin()
    await asyncio.to_thread(registry.promote, CHAMPION, second, reason="after all")
    await load.every_replica_serves(second, IN_A_ROW)
    story.end("the model is promoted again", models=(first, second))

    story.begin()
    await story.kill(2)
    story.end("both replicas are killed, one after the other")

    story.begin()
    damage(Path(registry.uri), first)
    before = registry.aliases().number
    status, detail = await story.admin("/v1/models/rollback", reason="to what is damaged")
    await asyncio.sleep(2 * POLL_S)
    story.end("a rollback by hand to a model that is damaged", f"{status}: {detail}")
    if status != 409 or registry.aliases().number != before:
        wrong.append(f"a rollback that cannot be served: status {status}, alias changed")
    return wrong


def damage(registry: Path, model: str) -> None:
    """Change one bit of a model's weights."""
    (file,) = registry.glob(f"**/{model}/{WEIGHTS_NAME}")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


async def lived(server: Server, registry: Registry, models: list[str]) -> tuple[Story, list[str]]:
    """The whole story, and everything that is wrong with it."""
    async with aiohttp.ClientSession(server.url) as session:
        bodies = await some_bodies(session)
        expected = Expected(registry, bodies)
        for model in models[:2]:  # before the load begins, and before weights are damaged
            expected.learn(model)
        load = Load(server.url, session, bodies, may_retry=True, rate=RATE)
        running = asyncio.create_task(load.run())
        story = Story(server, registry, load)
        try:
            await load.until(lambda answer: True, IN_A_ROW)
            wrong = await told(story, models)
        finally:
            running.cancel()
            await load.settle()
    wrong += [words for asked in load.done if asked.status == 200 and (words := expected.wrong(asked))]
    wrong += [f"not answered: {asked.answer}" for asked in load.done if asked.status != 200]
    refused = sum(asked.answer.get("model") == models[2] for asked in load.done)
    wrong += [f"{refused} answers by the refused model"] * bool(refused)
    wrong += [
        f"{step.words}: two models answered for {step.disagreed_s:.1f} s, longer than {POLL_S:g} s"
        for step in story.steps
        if step.disagreed_s > POLL_S
    ]
    return story, wrong


def table(story: Story, wrong: list[str]) -> str:
    """Markdown of the steps."""
    answers = len(story.load.done)
    head = [
        f"{RATE:g} requests a second to two replicas that look at the registry every {POLL_S:g} s; "
        f"{answers:,} answers, each held against the model and tier that it names: {len(wrong)} faults.",
        "",
        "| what happened | s | answers | sent twice | s of two models | told |",
        "|---|---|---|---|---|---|",
    ]
    body = [
        f"| {s.words} | {s.took_s:.1f} | {s.answers:,} | {s.retried} | {s.disagreed_s:.2f} | {s.told} |"
        for s in story.steps
    ]
    return "\n".join([*head, *body, *(f"\nFAULT {each}" for each in wrong[:20]), ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True)
    registry = Registry(out / "registry")
    models = [registered(registry, 0), registered(registry, 1), registered(registry, 2, broken=True)]
    registry.promote(CHAMPION, models[0], reason="first", evidence="e" * 12)
    (out / "admins").write_text(ADMIN)
    args = {
        "registry": str(out / "registry"), "replicas": 2, "replica_cpus": 0, "tier_3_cpus": 0,
        "access": {"require_token": False, "admin_token_file": str(out / "admins")},
        "limits": {"rates": {"rate_per_s": 10_000, "burst": 10_000}},
        # Two networks that were never trained decide alike by chance only.
        "check": {"min_agreement": 0.0, "latency_factor": 100.0},
        "watch": {"max_p99_ms": 5_000.0, "worse_p99_ms": 5_000.0},
        "deadline_ms": 1_000.0, "inference_ttl_ms": 0,
    }  # fmt: skip
    with serving(out, args) as server:
        story, wrong = asyncio.run(lived(server, registry, models))
    (out / "models.md").write_text(table(story, wrong))
    (out / "models.json").write_text(
        json.dumps({"steps": [step._asdict() for step in story.steps], "wrong": wrong}, indent=1)
    )
    print(table(story, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
