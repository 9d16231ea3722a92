"""serving/load*.py: coordinated omission in virtual time with worked numbers, bodies, outcomes, the child."""

import asyncio
import json
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from made.load_clock import in_virtual_time, pace_in_loop

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.serving.api.packed import pack, unpack
from kalshi_platform.serving.loadtest.bodies import Bodies, read_bodies, varied_bodies, vary
from kalshi_platform.serving.loadtest.open_loop import Attempt, arrivals_ns, open_loop
from kalshi_platform.serving.loadtest.result import (
    ANSWERED,
    EDGES_MS,
    NOT_SENT,
    LoadConfig,
    Percentiles,
    Timings,
    summarise,
)
from kalshi_platform.serving.loadtest.run import read_answer, run_load

MS = 1_000_000


class _OneAtATime:
    """A server of one thread: an answer takes ``service_s``, that of request ``slow`` takes ``stall_s``."""

    def __init__(self, service_s, slow=-1, stall_s=0.0):
        self.service_s, self.slow, self.stall_s = service_s, slow, stall_s
        self.turn = asyncio.Lock()

    async def ask(self, k):
        async with self.turn:
            await asyncio.sleep(self.stall_s if k == self.slow else self.service_s)
        return k

    def judge(self, answer):
        return Attempt(ANSWERED, "mlp" if answer % 2 else "full", ("cached",) if answer % 2 else ())

    def failure(self, error):
        return type(error).__name__


CONSTANT = LoadConfig(
    url="http://x", rate_per_s=100, duration_s=2, warm_up_s=0, arrivals="constant", target_ms=50
)


def test_a_stall_is_counted_for_everyone_who_would_have_asked_during_it():
    # 200 requests, 10 ms apart, each takes 1 ms; request 50 (due at 500 ms) stalls the server for 1,000 ms.
    # It is done at 1,500. Request 50 + j (due at 500 + 10 j) is served after those before it, at 1,500 + j:
    # it took 1,000 - 9 j ms, while that is above 1, so for j = 0..110: 111 requests felt the stall.
    # A tester that waits for its answers would have seen one slow request in 200.
    async def main(clock):
        server = _OneAtATime(0.001, slow=50, stall_s=1.0)
        timings = await open_loop(arrivals_ns(CONSTANT), server, 1_000, pace_in_loop, clock)
        return summarise(CONSTANT, 0, timings)

    found = in_virtual_time(main)
    assert (found.intended, found.answered, found.errors) == (200, 200, {})
    slow = [1000 - 9 * j for j in range(111)]
    everyone = np.sort([*slow, *[1] * 89])
    # Nearest rank of 200: the 100th, 180th, 198th and 200th smallest.
    expected = [everyone[rank - 1] for rank in (100, 180, 198, 200)]
    assert expected == [100, 820, 982, 1000]
    latency = found.latency
    assert [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms] == pytest.approx(expected)
    # Within 50 ms: the 89 that felt nothing and j = 106..110 (46, 37, 28, 19, 10 ms).
    assert found.within_target == pytest.approx((89 + 5) / 200)
    assert found.lag.max_ms == 0
    assert found.is_trusted


def test_a_slow_server_does_not_slow_the_schedule():
    async def main(clock):
        server = _OneAtATime(0.5)  # two answers a second to a hundred requests a second
        return await open_loop(arrivals_ns(CONSTANT), server, 1_000, pace_in_loop, clock)

    timings = in_virtual_time(main)
    np.testing.assert_array_equal(timings.sent_ns, np.arange(200) * 10 * MS)
    assert timings.done_ns[-1] == 100_000 * MS  # 200 x 0.5 s


def test_requests_beyond_those_that_may_wait_are_counted_as_not_sent():
    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), _OneAtATime(0.1), 5, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    # Five may wait and one place comes free each 100 ms: at 100, 200, ... 1,900 ms, the last before the last
    # request is due at 1,990. So 5 + 19 are sent, all the others find five waiting.
    assert found.answered == 24
    assert found.errors == {NOT_SENT: 176}


def test_a_failed_request_is_counted_by_its_kind_and_is_in_no_percentile():
    class Failing(_OneAtATime):
        async def ask(self, k):
            if k % 4 == 0:
                raise OSError("broken")
            return await super().ask(k)

    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), Failing(0.001), 100, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    assert found.errors == {"OSError": 50}
    assert found.latency.n == found.answered == 150
    assert found.within_target == 0.75


def test_the_warm_up_is_in_no_figure_and_the_generators_own_lateness_is_told():
    config = CONSTANT.replace(rate_per_s=1, warm_up_s=2, duration_s=4)
    due = np.arange(6) * 1_000 * MS
    lag = np.array([900, 900, 0, 0, 3, 0]) * MS
    took = np.array([900, 900, 10, 20, 30, 40]) * MS
    timings = Timings(due, due + lag, due + took, [ANSWERED] * 6, ["full"] * 6, [()] * 6, [{"fill": 1.5}] * 6)
    found = summarise(config, 0, timings)
    assert found.intended == 4
    assert found.latency.max_ms == 40
    assert found.service.max_ms == 40  # 30 - 3 is less
    assert found.late_share == 0.25
    assert not found.is_trusted
    assert "25.0% of the requests left more than 1 ms late" in found.problem
    # Four answers from the first meant (2,000 ms) to the last done (5,040 ms).
    assert found.throughput_per_s == round(4 / 3.04, 2)
    assert found.stages["fill"].p50_ms == 1.5
    assert sum(moment.answered for moment in found.moments) == 4


def test_nothing_answered_is_a_problem_and_no_percentile():
    due = np.arange(3) * MS
    timings = Timings(due, due + 1, due * 0, ["timeout"] * 3, [""] * 3, [()] * 3, [{}] * 3)
    found = summarise(CONSTANT, 0, timings)
    assert found.latency is None
    assert found.within_target == 0
    assert found.problem == "no request was answered"


def test_answers_are_told_apart_by_tier_and_note():
    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), _OneAtATime(0.001), 100, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    assert [(t.tier, t.share) for t in found.tiers] == [("full", 0.5), ("mlp", 0.5)]
    assert found.notes == {"cached": 100}


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=300))
def test_a_percentile_is_a_value_that_was_seen_and_not_exceeded_by_its_share(values):
    array = np.round(np.array(values), 4)
    found = Percentiles.of(array)
    for share, value in ((0.5, found.p50_ms), (0.9, found.p90_ms), (0.99, found.p99_ms)):
        assert value in array
        assert (array <= value).mean() >= share - 1e-12
        assert (array < value).mean() < share


@given(st.lists(st.floats(0, 1e5), max_size=200))
def test_the_histogram_counts_every_answer_once(values):
    due = np.arange(len(values), dtype=np.int64)
    done = due + np.round(np.array(values) * MS).astype(np.int64)
    n = len(values)
    timings = Timings(due, due + 1, done, [ANSWERED] * n, [""] * n, [()] * n, [{}] * n)
    found = summarise(CONSTANT, 0, timings)
    assert sum(found.histogram) == n
    assert len(found.histogram) == len(EDGES_MS) + 1


def test_arrivals_are_the_same_for_the_same_seed_and_keep_the_rate():
    config = CONSTANT.replace(arrivals="poisson", duration_s=20, rate_per_s=200)
    found = arrivals_ns(config)
    np.testing.assert_array_equal(found, arrivals_ns(config))
    assert not np.array_equal(found, arrivals_ns(config.replace(seed=1)))
    assert np.all(np.diff(found) >= 0)
    assert found[-1] < 20e9
    # 4,000 meant; five standard deviations of a Poisson count are 5 x sqrt(4,000) = 316. The gaps of an
    # exponential have a deviation equal to their mean.
    assert abs(len(found) - 4_000) < 316
    gaps = np.diff(found)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.1)


def test_too_many_requests_are_refused_with_the_number():
    with pytest.raises(ContractError, match="8,640,000,000 requests"):
        CONSTANT.replace(rate_per_s=100_000, duration_s=86_400)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.integers(0, 2**32))
def test_a_varied_body_keeps_shape_sign_bounds_and_everything_that_is_no_fraction(value, seed):
    def compare(old, new):
        assert type(old) is type(new)
        if isinstance(old, dict):
            assert list(old) == list(new)
            for key in old:
                compare(old[key], new[key])
        elif isinstance(old, list):
            assert len(old) == len(new)
            for a, b in zip(old, new, strict=True):
                compare(a, b)
        elif isinstance(old, float) and -1 <= old <= 1:
            assert abs(new - old) <= 0.2 + 1e-6
            assert 0 <= new <= 1 if old >= 0 else -1 <= new <= 0
        else:
            assert old == new

    compare(value, vary(value, np.random.default_rng(seed), 0.2))


def test_packed_numbers_are_varied_as_numbers_and_other_text_stays():
    numbers = np.array([0.5, -0.5, 0.0, 1.0, -1.0, 7.0], np.float32)
    body = {"markets": [{"id": "row", "row": pack(numbers), "history": None}]}
    (market,) = vary(body, np.random.default_rng(0), 0.2)["markets"]
    found = unpack(market["row"])
    assert (market["id"], market["history"], found[-1]) == ("row", None, 7)
    assert (found[:5] != numbers[:5]).any()
    assert (np.abs(found - numbers) <= 0.2 + 1e-6).all()
    assert ((found[[0, 2, 3]] >= 0) & (found[[0, 2, 3]] <= 1)).all()
    assert ((found[[1, 4]] <= 0) & (found[[1, 4]] >= -1)).all()


def test_bodies_repeat_in_turn_under_request_ids_that_never_repeat():
    example = {"request_id": "example", "rows": [0.5, -0.5], "n": 3}
    bodies, again = (Bodies(varied_bodies(example, 2, 0.1, seed=7)) for _ in range(2))
    sent = [json.loads(bodies.of(k)) for k in range(4)]
    assert len({body["request_id"] for body in sent}) == 4
    assert sent[0]["rows"] == sent[2]["rows"] != sent[1]["rows"]
    other = json.loads(again.of(0))
    assert other["rows"] == sent[0]["rows"]  # the seed's
    assert other["request_id"] != sent[0]["request_id"]  # another test
    assert json.loads(Bodies([{"request_id": "x"}]).of(0)).keys() == {"request_id"}
    assert json.loads(Bodies([{"a": 1}]).of(5)) == {"a": 1}


def test_a_file_of_bodies_names_the_line_that_is_wrong(tmp_path):
    file = tmp_path / "bodies.jsonl"
    file.write_text('{"a": 1}\n\n{"b": 2}\n[1]\n')
    assert read_bodies(file, 2) == [{"a": 1}, {"b": 2}]
    with pytest.raises(DataError, match=r"line 4 is not a JSON object"):
        read_bodies(file, 3)
    file.write_text("{\n")
    with pytest.raises(DataError, match="line 1 is not JSON"):
        read_bodies(file, 3)
    file.write_text("\n")
    with pytest.raises(DataError, match="holds no request body"):
        read_bodies(file, 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_bodies(tmp_path / "absent", 3)


def test_an_answer_says_who_decided():
    group = {"tier": "mlp", "notes": ["cached"]}
    full = {"tier": "full", "notes": ["deadline", "cached"]}
    one = read_answer({"groups": [group], "timings_ms": {"fill": 0.25}})
    assert one == Attempt(ANSWERED, "mlp", ("cached",), {"fill": 0.25})
    assert read_answer({"groups": [group, full]})[1:3] == ("mixed", ("cached", "deadline"))
    assert read_answer({"n": 4}) == Attempt(ANSWERED)


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict]]]:
    """A server on loopback that answers as ``/v1`` does and keeps what it was asked: (url, requests)."""
    asked: list[dict] = []

    async def example(_request):
        return web.json_response({"request_id": "e", "groups": [[0.5, 0.25]]})

    async def decide(request):
        body = await request.json()
        asked.append({**body, "token": request.headers.get("Authorization")})
        if len(asked) % 5 == 0:
            return web.json_response({"title": "Unprocessable"}, status=422)
        return web.json_response({"groups": [{"tier": "mlp", "notes": []}], "timings_ms": {"total": 0.2}})

    started, stop = threading.Event(), asyncio.Event()
    place: list[str] = []
    loop = asyncio.new_event_loop()

    async def main():
        app = web.Application()
        app.router.add_get("/v1/example", example)
        app.router.add_post("/v1/decide", decide)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        place.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait()
    yield place[0], asked
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_a_generator_of_its_own_process_measures_a_real_server(server, tmp_path):
    url, asked = server
    token = tmp_path / "token"
    token.write_text("secret-of-the-client")
    found = run_load(
        LoadConfig(
            url=url, rate_per_s=100, duration_s=0.5, warm_up_s=0.1, arrivals="constant", token_file=str(token)
        )
    )
    assert len(asked) == 60
    assert found.intended == 50
    assert found.answered == 40
    assert found.errors == {"status_422": 10}
    assert [t.tier for t in found.tiers] == ["mlp"]
    assert found.stages["total"].n == 40
    assert {body["token"] for body in asked} == {"Bearer secret-of-the-client"}
    assert len({body["request_id"] for body in asked}) == 60
    assert len({tuple(body["groups"][0]) for body in asked}) == 60
    assert "secret" not in found.model_dump_json()


def test_a_server_that_is_not_there_is_told_with_what_to_do():
    with pytest.raises(ContractError, match="kalshi-platform serve --local"):
        run_load(LoadConfig(url="http://127.0.0.1:9", duration_s=1))
