"""The paper account has, to the unit, what the environment has that replays the same recording."""

from pathlib import Path

import numpy as np
import pytest
from made.live_capture import built, in_order, simulated
from made.replay_bank import schedule
from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.trading.session.paper import paper_account
from kalshi_platform.trading.session.paper.paper_account import PaperAccount
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.paper.paper_log import STRETCH, PaperLog

MONEY = ("cash_e6", "reserved_e6")
OF_SLOT = (
    "position_e2", "cost_e6", "slot_cash_e6", "fees_e6", "traded_e2", "turnover_e6", "n_orders", "n_fills",
    "n_reached_fills", "order_state", "order_qty_e2", "sent_action", "mark2_e4", "queue_e2", "passed_e2",
)  # fmt: skip


def state_of(envs, slots) -> dict:
    return {name: int(envs[name][0]) for name in MONEY} | {name: slots[name][0].tolist() for name in OF_SLOT}


def play_environment(bank, config: EnvConfig, seed: int):
    """[(time, actions, state before them)] of random legal play until a slot stands at its last row.

    From there on an episode knows something that nobody knew: it takes no order after a market's last row.
    """
    segments = tuple(range(len(bank.arrays.segments)))
    env = ReplayVectorEnv(bank, FixedEpisodes(schedule(bank, *segments)), config, 1)
    flat, rows = env.buffers()
    out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
    env.reset(flat, rows)
    rng = np.random.default_rng(seed)
    played = []
    while not (env.slots["cursor"][0] + 1 >= env.slots["stop"][0]).any():
        masks = env.slots["mask"][0]
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks], np.int8)
        played.append((int(env.now_ns[0]), actions, state_of(env.envs, env.slots)))
        env.step(actions[None], flat, rows, *out)
        if out[1][0] or out[2][0]:
            break
    return played


def play_live(capture, specs, tickers, config: EnvConfig, played) -> PaperAccount:
    """Paper account after the same actions at the same times, brought to the last of these times.

    The frames that follow are fed too: they tell which rows were the last of their bursts.
    """
    book = PaperBook(config)
    books = LiveBooks(config, 0, specs, [tickers], watcher=book)
    account, waiting = book.account(0), list(played)
    for number, frame in enumerate(in_order(read_frames(capture)), start=1):
        while waiting and frame.recv_ns > waiting[0][0]:
            at_ns, actions, _ = waiting.pop(0)
            account.advance(at_ns)
            if waiting:
                account.act(actions)
        books.feed(frame._replace(line=number), from_json(frame.raw))
    account.finish()
    return account


@pytest.mark.parametrize("style", ["taker", "maker"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"decision_interval_ms": 1_500}, {"sizing": "taper", "hold": "cancel", "feed_latency_ms": 40}],
    ids=["events", "interval", "taper"],
)
def test_the_account_is_that_of_the_environment(tmp_path: Path, style: str, changes: dict) -> None:
    capture = simulated(tmp_path, seed=5, messages_per_market=400)
    dataset, (bank,) = built(capture, tmp_path / "data")
    tickers = [info.ticker for info in bank.markets]
    config = EnvConfig(n_slots=len(tickers), order_style=style, order_ttl_ms=600_000, **changes)
    played = play_environment(bank, config, seed=3)
    assert len(played) > 50
    account = play_live(capture, list(dataset.specs().values()), tickers, config, played)
    found = state_of(account.envs, account.slots)
    assert found == played[-1][2]
    assert account.n_forbidden == 0
    assert min(found["n_fills"]) > 0
    lines = account.fills
    assert lines["cash_e6"].sum() == account.cash_e6 - config.capital_e6
    assert lines["fee_e6"].sum() == sum(found["fees_e6"])
    assert lines["qty_e2"].sum() == sum(found["traded_e2"])
    if style == "maker" and not changes:
        assert account.n_replayed > 0  # bursts that went on were met: the test has seen the hard case


def test_a_burst_that_goes_on_is_played_again_from_where_it_began(tmp_path: Path, monkeypatch) -> None:
    """A market that waits for its next message holds the log, and costs the other markets nothing."""
    capture = simulated(tmp_path, seed=5, messages_per_market=400)
    dataset, (bank,) = built(capture, tmp_path / "data")
    tickers = [info.ticker for info in bank.markets]
    config = EnvConfig(n_slots=len(tickers), order_style="maker", order_ttl_ms=600_000)
    played, again, logs = play_environment(bank, config, seed=3), [], []
    catch_up, do_again, add = PaperAccount._catch_up, PaperAccount._do_again, PaperLog.add

    def counted(account) -> None:
        if account._stale is not None:
            again.append(0)
        catch_up(account)

    def one_more(account, done) -> None:
        again[-1] += 1
        do_again(account, done)

    def logged(log, done) -> None:
        add(log, done)
        logs.append(len(log))

    monkeypatch.setattr(PaperAccount, "_catch_up", counted)
    monkeypatch.setattr(PaperAccount, "_do_again", one_more)
    monkeypatch.setattr(PaperLog, "add", logged)
    # No row grows old enough to be taken for its burst's last: one that waits holds the log for good.
    monkeypatch.setattr(paper_account, "_SURE_NS", 10**18)
    account = play_live(capture, list(dataset.specs().values()), tickers, config, played)
    assert state_of(account.envs, account.slots) == played[-1][2]
    assert account.n_replayed == len(again) > 0
    assert max(logs) > 4 * STRETCH
    assert max(again) <= 2 * STRETCH
