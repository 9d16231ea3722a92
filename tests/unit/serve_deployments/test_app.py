"""The Serve application: its settings, and tier 3 through a handle."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.server.args import PolicyAppArgs
from serve_deployments import app as serving
from serve_deployments.app import build


def test_the_builder_takes_its_settings_from_a_config():
    args = PolicyAppArgs.parse({"access": {"require_token": False}, "replicas": 3, "max_ongoing_requests": 7})
    application = build(args)
    assert application._bound_deployment.name == "Ingress"
    assert application._bound_deployment.num_replicas == 3
    assert application._bound_deployment.max_ongoing_requests == 7 + args.limits.held_places
    alone = build(args.replace(tier_3=False))
    assert alone._bound_deployment.init_args[1] is None


@pytest.fixture
def key():
    return ModelKey("tiny-1", None)


@given(every_s=st.floats(0.05, 600), now_s=st.floats(1e9, 4e9))
def test_looks_fall_on_the_same_moments_in_every_process(every_s, now_s):
    wait_s = serving.until_look_s(every_s, now_s)
    assert 0 < wait_s <= every_s
    off = (now_s + wait_s) % every_s
    assert min(off, every_s - off) < 1e-5


def test_a_look_is_on_the_next_whole_multiple_of_the_clock():
    assert serving.until_look_s(5.0, 1_000_000_003.5) == 1.5
    assert serving.until_look_s(5.0, 1_000_000_005.0) == 5.0  # the look that is due now has just been made


class Remote:
    """A handle whose calls end as the test says; what was cancelled is kept."""

    def __init__(self, answer):
        self.answer, self.asked, self.cancelled = answer, [], 0
        self.decide = self.prepare = SimpleNamespace(remote=self._call)

    def _call(self, *asked):
        self.asked.append(asked)
        return self

    def __await__(self):
        return self.answer().__await__()

    def cancel(self):
        self.cancelled += 1


async def answers():
    return "decisions"


async def fails():
    raise RuntimeError("its actor died")


def test_tier_3_is_asked_through_its_handle(key):
    remote = Remote(answers)
    assert asyncio.run(serving._asking(remote)(key, "a batch")) == "decisions"
    assert (remote.asked, remote.cancelled) == ([(key, "a batch")], 0)


def test_a_question_whose_answer_nobody_waits_for_any_more_is_cancelled(key):
    late = Remote(lambda: asyncio.sleep(60))

    async def ask():
        async with asyncio.timeout(0.01):
            await serving._asking(late)(key, "a batch")

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert late.cancelled == 1
    dead = Remote(fails)
    with pytest.raises(RuntimeError, match="its actor died"):
        asyncio.run(serving._asking(dead)(key, "a batch"))


@pytest.mark.parametrize(("answer", "warned"), [(answers, 0), (fails, 1)])
def test_a_model_is_checked_even_where_tier_3_could_not_load_it_before(key, caplog, answer, warned):
    remote = Remote(answer)

    async def prepare():
        preparing = serving._preparing(remote, asyncio.get_running_loop())
        await asyncio.to_thread(preparing, key)

    with caplog.at_level(logging.WARNING):
        asyncio.run(prepare())
    assert remote.asked == [(key,)]
    assert sum("did not load tiny-1" in record.message for record in caplog.records) == warned


def test_what_is_repeated_goes_on_after_any_failure_and_a_bug_is_logged_with_its_trace(caplog):
    ends = [StorageError("no answer"), ValueError("a bug"), None]
    done = asyncio.Event()

    async def act():
        error = ends.pop(0)
        if error is not None:
            raise error
        done.set()

    async def main():
        task = asyncio.create_task(serving._every(0.001, act, "following"))
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    told = [(r.levelname, bool(r.exc_info)) for r in caplog.records if "following failed" in r.getMessage()]
    assert told == [("WARNING", False), ("ERROR", True)]
