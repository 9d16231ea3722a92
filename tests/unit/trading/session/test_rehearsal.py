"""After a rehearsal a session's first frame and first decision compile nothing, and nothing of it is left."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from made import trading_scene
from made.trading_scene import registry_with_model

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.session import rehearsal
from kalshi_platform.trading.session.decider import ModelDecider
from kalshi_platform.trading.session.session_config import TradingSessionConfig

MADE = Path(trading_scene.__file__).parents[1]
#: A session of its own process: rehearsal, then frames of a simulated exchange, decisions, payment; prints
#: which compiled functions have more machine codes after than before.
SESSION = """
import asyncio, gc, json, sys
sys.path[:0] = sys.argv[5:]
from pathlib import Path
from made.live_capture import in_order, simulated
from made.trading_scene import registry_with_model
from numba.core.dispatcher import Dispatcher
from pydantic_core import from_json
from test_core import introduce, tickers_in
from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.session import rehearsal
from kalshi_platform.trading.session.core import SessionCore
from kalshi_platform.trading.session.decider import ModelDecider
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.session_config import TradingSessionConfig

folder, kind, style, skips = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "skip"
decider = ModelDecider(registry_with_model(folder / "registry", order_style=style), "challenger")
served, limits = decider.served, None if kind == "paper" else RiskLimits()
frames = in_order(read_frames(simulated(folder, n_events=2, seed=7, messages_per_market=80)))


def codes():
    return {str(f.py_func): len(f.overloads) for f in gc.get_objects() if isinstance(f, Dispatcher)}


async def run():
    if not skips:
        await rehearsal.rehearse(served, TradingSessionConfig(), limits)
    before = codes()
    made = rehearsal._exchange_book
    account = PaperBook(served.trading) if limits is None else made(served.trading, limits)
    core = SessionCore(
        served.trading, served.window, account, decider, lambda kind, detail: None, use_yes_price=False
    )
    introduce(core, tickers_in(frames), frames[0].recv_ns - 1)
    for number, frame in enumerate(frames, 1):
        due = core.frame(number, frame.recv_ns, frame.conn, frame.raw, from_json(frame.raw))
        if number % 5 == 0:
            core.decide(due)
    await rehearsal._settle_down(account)
    core.pay(next(iter(core.books.places)), 10_000, core.now_ns)
    core.finish()
    account.figures()
    after = codes()
    print(json.dumps({
        "compiled": [name for name, n in after.items() if before.get(name, 0) != n],
        "decisions": core.counters["decisions"], "orders": account.figures()["orders"],
    }))


asyncio.run(run())
decider.close()
"""


def session(folder: Path, *words: str) -> dict:
    ran = subprocess.run(
        [sys.executable, "-c", SESSION, str(folder), *words, str(Path(__file__).parent), str(MADE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize(("kind", "style"), [("paper", "maker"), ("exchange", "taker")])
def test_after_it_nothing_is_compiled(tmp_path, kind, style):
    found = session(tmp_path, kind, style, "rehearse")
    assert found["compiled"] == []
    assert found["decisions"] > 10
    assert found["orders"] > 0


def test_without_it_the_first_decisions_compile(tmp_path):
    assert session(tmp_path, "paper", "taker", "skip")["compiled"]


@pytest.fixture(scope="module")
def decider(tmp_path_factory: pytest.TempPathFactory):
    made = ModelDecider(registry_with_model(tmp_path_factory.mktemp("registry")), "challenger")
    yield made
    made.close()


@pytest.mark.parametrize("limits", [None, RiskLimits()], ids=["paper", "exchange"])
def test_it_leaves_nothing_in_the_model_that_the_session_asks(decider, limits):
    policy = decider.served.policy
    watched = decider.served.watch.total
    asyncio.run(rehearsal.rehearse(decider.served, TradingSessionConfig(), limits))
    assert len(policy.answers) == 0
    assert decider.tiers == {}
    assert decider.served.watch.total == watched
    assert not policy.failures


def test_every_size_of_a_batch_is_met_up_to_the_largest(decider):
    rehearsed, asked = rehearsal._RehearsedPolicy(decider.served), []
    rehearsed.policy = SimpleNamespace(forget=lambda: None, decide=lambda batch, now_ns: asked.append(batch))
    rehearsed.seen = SimpleNamespace(take=len)
    rehearsed.meet_sizes(20)
    assert asked[::2] == [1, 2, 3, 4, 5, 6, 7, 8, 16, 20]


def test_a_part_that_refuses_the_scene_ends_the_start_in_words(decider, monkeypatch):
    monkeypatch.setattr(rehearsal._RehearsedPolicy, "decide", lambda *_: 1 / 0)
    with pytest.raises(ContractError, match=r"rehearsal of the session failed: .*policy_failures"):
        asyncio.run(rehearsal.rehearse(decider.served, TradingSessionConfig(), None))
