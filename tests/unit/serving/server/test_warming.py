"""A replica that was rehearsed compiles, imports and builds nothing for its first client."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made.served import SIMULATED_MARKS, made_served
from made.serving_app import MODEL, App
from made.serving_tiers import PlainEngine, spec_of

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import LEVELS
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredPolicy
from kalshi_platform.serving.live.admission import columns_shown, require_inputs
from kalshi_platform.serving.server import warming
from kalshi_platform.serving.server.warming import rehearse
from kalshi_platform.simulation.replay.trading import TradingConfig

ROOT = Path(__file__).resolve().parents[4]
#: Run in a process of its own, where nothing was asked before; argv[1]: whether it is rehearsed.
SCRIPT = """
import asyncio, gc, json, sys
from numba.core.dispatcher import Dispatcher
from made.serving_app import App
from kalshi_platform.serving.server.warming import rehearse

def found():
    kernels = [k for k in gc.get_objects() if isinstance(k, Dispatcher)]
    return set(sys.modules), {k.py_func.__qualname__: len(k.signatures) for k in kernels}

app = App(thresholds=(0.999, 0.999))
if sys.argv[1] == "rehearsed":
    asyncio.run(rehearse(app.service.args, app.served))
app.client.get("/v1/healthz")  # the test's own client imports and builds its parts
example = json.load(sys.stdin)
modules, kernels = found()
for k, body in enumerate(example):
    answer = app.client.post("/v1/decide", content=json.dumps(body).encode())
    assert answer.status_code == 200, answer.text
wrong = {**example[0], "groups": [{"markets": [{}]}]}
wrong = app.client.post("/v1/decide", content=json.dumps(wrong).encode())
assert wrong.status_code == 422, wrong.text
assert app.client.get("/").status_code == 200
assert app.client.get("/v1/example").status_code == 200
assert app.client.get("/v1/readyz").status_code == 200
assert app.client.get("/docs").status_code == 200
more_modules, more_kernels = found()
new = {k: n - kernels.get(k, 0) for k, n in more_kernels.items() if n > kernels.get(k, 0)}
print(json.dumps({"modules": sorted(more_modules - modules), "kernels": new}))
"""


@pytest.fixture(scope="module")
def requests() -> str:
    """Requests as a client's own code makes them: lists and packed, one group and more, a market paused."""
    app = App()
    plain = app.example()
    packed = app.client.get("/v1/example?packed=true").json()
    paused = json.loads(json.dumps(plain))
    paused["groups"][0]["markets"][1]["state"] = "paused"
    priced = json.loads(json.dumps(plain))
    for market in priced["groups"][0]["markets"]:
        market |= {
            "bid_e4": 4_000,
            "ask_e4": 4_100,
            "exclusive_set": "S",
            "allowed": ["HOLD", "SELL_YES", "SELL_NO"],
        }
    several = {**packed, "groups": packed["groups"] * 3}
    found = [plain, packed, paused, priced, several, {**plain, "groups": plain["groups"] * 7}]
    return json.dumps([{**body, "request_id": f"first-{k}"} for k, body in enumerate(found)])


def first_requests(requests: str, how: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], input=requests, check=False, capture_output=True, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_after_the_rehearsal_the_first_requests_compile_and_import_nothing(requests: str):
    assert first_requests(requests, "rehearsed") == {"modules": [], "kernels": {}}


def test_without_it_they_would(requests: str):
    assert len(first_requests(requests, "not")["kernels"]) > 3


def test_nothing_of_a_rehearsal_is_counted_or_remembered():
    app = App()
    asyncio.run(rehearse(app.service.args, app.served))
    assert (app.guard.n_answered, app.watched.answered, app.watched.problems) == (0, [], [])
    assert app.policy.failures.total() == 0
    stats = app.policy.answers.stats
    assert (stats.hits, stats.misses) == (0, 0)


def test_the_limits_of_clients_do_not_stop_a_rehearsal():
    limits = {"groups": 1, "body_bytes": 1_024, "rates": {"rate_per_s": 1, "burst": 1}}
    app = App(limits=limits)
    asyncio.run(rehearse(app.service.args, app.served))


def test_a_simulated_model_and_inputs_that_no_frame_tells_are_rehearsed():
    trading = TradingConfig(groups=("orderbook", "temporal", "resolution"))
    with pytest.raises(ContractError, match="reads inputs that this stream does not give"):
        require_inputs(columns_shown(trading, 0), (), (), outcomes=False)
    engine = PlainEngine(build_network(spec_of(LEVELS["tiny"], groups=trading.groups), 0))
    policy = TieredPolicy(engine.spec, (ReadyTier(3, engine, 1.0, None),))
    served = replace(made_served(policy, trading, MODEL), marks=SIMULATED_MARKS)
    asyncio.run(rehearse(App().service.args, served))


def test_an_application_that_answers_otherwise_is_told(monkeypatch: pytest.MonkeyPatch):
    app = App()
    monkeypatch.setattr(warming, "DECIDE", "/v1/nothing")
    with pytest.raises(ContractError, match="rehearsal of POST /v1/nothing: answered 404 instead of 200"):
        asyncio.run(rehearse(app.service.args, app.served))
