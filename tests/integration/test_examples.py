"""examples/ run, and the PPO written out there learns."""

import asyncio
import json

import numpy as np
import pytest
import torch
from made.scripts import load_script
from websockets.asyncio.server import serve

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.domain.errors import DataError
from kalshi_platform.evaluation.judging.report import read_report
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.rollout.fragment import allocate

minimal = load_script("examples/minimal.py")
streaming = load_script("examples/stream_recording.py")


def test_the_minimal_example_goes_from_recordings_to_a_report(tmp_path, one_torch_thread):
    found = minimal.main(tmp_path, minimal.Knobs(n_events=40, n_envs=8, n_steps=16, iterations=3, epochs=1))
    assert found.policy.trading.decisions > 100
    assert {baseline.name for baseline in found.baselines} >= {"do_nothing", "random"}
    assert read_report(tmp_path / "report.json").policy == found.policy
    assert "<html" in (tmp_path / "report.html").read_text()


def test_what_earned_more_than_expected_becomes_more_likely(one_torch_thread, rng):
    spec = PolicySpec(
        level=level_named("tiny"), n_slots=2, market=("a",), portfolio=("p",), n_history=0,
        feature_digest="f", groups=("orderbook",),
    )  # fmt: skip
    network = build_network(spec, 1)
    fragment = allocate(8, 16, spec.width, spec.n_slots)
    flat = fragment.flat.reshape(-1, spec.width)
    flat[:] = rng.normal(size=flat.shape)
    spec.layout.slot_mask(flat)[:] = 1.0
    spec.layout.action_mask(flat)[:] = 1.0
    bought = rng.random(fragment.actions.shape) < 0.5
    fragment.actions[:] = np.where(bought, BUY_YES, HOLD)
    fragment.advantage[:] = np.where(bought, 1.0, -1.0)

    def probabilities() -> np.ndarray:
        """(N * T, S, A) as the network stands."""
        return network.answer(torch.from_numpy(flat), None).logits.softmax(-1).detach().numpy()

    before = probabilities()
    chosen = fragment.actions.reshape(*before.shape[:2], 1).astype(np.int64)
    fragment.log_prob.reshape(chosen.shape)[:] = np.log(np.take_along_axis(before, chosen, axis=2))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    minimal.learn(network, optimizer, fragment, minimal.Knobs(minibatch=64))
    change = (probabilities() - before).mean((0, 1))
    assert change[BUY_YES] > 0.05
    assert change[HOLD] < -0.02


def test_a_recording_is_streamed_and_its_decisions_are_told(tmp_path, capsys):
    frame = {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {"market_ticker": "KXMADE-26DEC01-T50"}}
    line = {"recv_ns": 1_795_400_000 * 10**9, "conn": 1, "raw": json.dumps(frame)}
    (tmp_path / "b.jsonl").write_text((json.dumps(line) + "\n") * 5)
    (tmp_path / "a.txt").write_text("no recording")
    heard = []

    async def server(socket):
        heard.append(json.loads(await socket.recv()))
        opened = {"type": "opened", "session": "s", "resumed": False, "next_frame": 1, "groups": []}
        await socket.send(json.dumps(opened))
        n = 0
        async for text in socket:
            message = json.loads(text)
            if message.get("type") == "ack":
                await socket.send(json.dumps({"type": "ack", "frame": n}))
                continue
            n += 1
            heard.append(message)
            decision = {"type": "decision", "frame": n, "recv_ns": message["recv_ns"], "group": 0,
                        "actions": {"KXMADE-26DEC01-T50": "BUY_YES"}, "tier": "tier_1"}  # fmt: skip
            await socket.send(json.dumps(decision))

    async def streamed():
        async with serve(server, "127.0.0.1", 0) as running:
            port = next(iter(running.sockets)).getsockname()[1]
            recording = streaming.frames_file(tmp_path)
            return await streaming.decisions(recording, f"ws://127.0.0.1:{port}/v1/stream", 3)

    streaming.show(asyncio.run(asyncio.wait_for(streamed(), 240)))
    opening, *frames = heard
    assert opening["allow_simulated"] is True
    assert frames == [line] * 3
    shown = capsys.readouterr().out
    assert "3 decisions, 0 frames refused\nactions: BUY_YES 3\ndecided by: tier_1 3" in shown
    assert "2026-11-23 02:13:20.000000  tier_1  KXMADE-26DEC01-T50 BUY_YES" in shown


def test_a_folder_without_frames_is_refused_by_the_example(tmp_path):
    (tmp_path / "a.txt").write_text("no recording")
    with pytest.raises(DataError, match="holds no frames: name a recording of WebSocket frames"):
        streaming.frames_file(tmp_path)
