"""/v1/stream fed with 100 frames a second, open loop, against a stream that answers each with a constant.

serve_stream      p50 from when a frame was meant to be sent to its decision; one group of five simulated
                  markets, a decision asked for at every event, client and server on the same cores
serve_stream_p99  the same at p99
Checked: frames over the stream are decided as a session in this process, with the same tiers, decides them.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import serving_app as app
from made.served import made_served

from kalshi_platform.models.networks.levels import LEVELS
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.live.stream import StreamSession
from kalshi_platform.serving.loadtest.result import LoadConfig
from kalshi_platform.serving.loadtest.stream import OPENING, open_stream, stream_lines
from kalshi_platform.simulation.replay.trading import TradingConfig

RATE, DURATION_S, WARM_UP_S, ROUNDS, CHECKED = 100, 5, 1, 3, 200
PEER = "stream of a constant for every frame, same switches"

#: The models of a benchmark are made up, and a capture tells no facts of its markets.
_ASKING = LoadConfig(allow_simulated=True, accept_missing_inputs=True)


def session_of(model: str, policy: TieredPolicy) -> StreamSession:
    """A session in this process, opened as the application opens it."""
    trading = TradingConfig.of_environment(app.ENVIRONMENT)
    return StreamSession(
        "here",
        OpenMessage.parse({**OPENING, "accept_missing_inputs": True}),
        made_served(policy, trading, model),
    )


def states(lines: list[str]) -> Batch:
    """Groups that fall due while ``lines`` are fed."""
    alone = FrozenPolicy(build_network(app.spec_of(LEVELS["moderate"]), 0).eval())
    session = session_of("none-000000000000", app.in_process({3: alone}, {3: None}))
    batches = [due.batch for line in lines if (due := session.feed(line, time.time_ns()).due) is not None]
    return Batch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def expected_actions(model: app.Model, lines: list[str]) -> list[dict[str, str]]:
    """Actions that a session in this process takes on ``lines``."""
    session = session_of(model.id, model.policy)
    answers = [
        json.loads(text) for line in lines for text in session.step(line, time.time_ns(), model.policy.decide)
    ]
    return [answer["actions"] for answer in answers if answer["type"] == "decision"]


async def served_actions(url: str, lines: list[str], n: int) -> list[dict[str, str]]:
    """First ``n`` decisions of ``lines`` over the stream."""
    found: list[dict[str, str]] = []
    async with open_stream(_ASKING.replace(url=url, timeout_s=10.0), {}) as (socket, _):
        for line in lines:
            await socket.send(line)
        while len(found) < n:
            async with asyncio.timeout(10.0):
                answer: dict[str, Any] = json.loads(await socket.recv())
            if answer["type"] == "decision":
                found.append(answer["actions"])
    return found


def main() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        recording = app.capture(place)
        sent = round(RATE * (WARM_UP_S + DURATION_S))
        model = app.made_model(place / "registry", states(stream_lines(recording, sent)))
        lines = stream_lines(recording, CHECKED)
        expected = expected_actions(model, lines)
        assert expected, "the capture asks for no decision"
        config = _ASKING.replace(
            url="http://127.0.0.1", rate_per_s=RATE, duration_s=DURATION_S, warm_up_s=WARM_UP_S,
            stream=recording,
        )  # fmt: skip
        with app.both_running(model) as url:
            found = asyncio.run(served_actions(url, lines, len(expected)))
            assert found == expected, "over the stream frames are decided otherwise than in this process"
            ours, empty = app.in_turn(config.replace(url=url), ROUNDS)
    shared = {
        "tiers": app.tier_shares(ours),
        "quiet": sum(result.quiet for result in ours),
    }
    yield {**app.line("serve_stream", ours, empty, "p50_ms", PEER), **shared}
    yield app.line("serve_stream_p99", ours, empty, "p99_ms", PEER)


if __name__ == "__main__":
    for result in main():
        print(result)
