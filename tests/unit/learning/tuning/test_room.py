"""Trials ask for memory as well as cores, and a cluster that has neither is not silent about it."""

from types import SimpleNamespace

from kalshi_platform.learning.training.machine import GIB, WORKER_BYTES
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.room import TRIAL_BYTES, WaitingForRoom, room_for, waiting_words

ONE = [{"CPU": 1.0, "memory": float(GIB)}]
LARGE, SMALL = {"CPU": 4.0, "memory": 8.0 * GIB}, {"CPU": 4.0, "memory": 0.5 * GIB}


def test_a_trial_asks_for_cores_and_memory_of_itself_and_of_each_sampler():
    settings = [RunSettings().with_values({"train.num_env_runners": n}) for n in (0, 2)]
    found = room_for(settings).bundles
    assert found[0] == {"CPU": 1.0, "memory": TRIAL_BYTES}
    assert found[1:] == [{"CPU": 1.0, "memory": WORKER_BYTES}] * 2  # as the largest of the stage


def test_a_cluster_that_can_never_hold_a_trial_says_what_is_asked_for_and_what_it_has():
    assert waiting_words(ONE, [], {}) == (
        "no trial runs yet: each asks for 1 CPU and 1.0 GiB of memory; the cluster has 0 CPUs and 0.0 GiB "
        "of memory on 0 machines, and no machine has room for that: start workers (or wait for those that "
        "are starting), or end the sweep and ask for less"
    )
    # together enough memory, on no machine enough
    assert "no machine has room" in waiting_words(ONE, [SMALL] * 4, SMALL)
    assert "no machine has room" in waiting_words(ONE * 5, [LARGE], LARGE)  # five cores of four


def test_a_cluster_that_is_busy_and_one_that_is_just_starting_are_told_apart():
    busy = waiting_words(ONE, [LARGE, LARGE], {"CPU": 0.0, "memory": 3.0 * GIB})
    assert "the cluster has 8 CPUs and 16.0 GiB of memory on 2 machines, of which 0 CPUs and 3.0 GiB" in busy
    assert busy.endswith("waiting until other work ends, or until the trials that took the rest have started")
    assert waiting_words(ONE, [LARGE], LARGE).endswith("waiting for the trial's process to start")


def test_nobody_hears_of_it_for_20_s_and_then_every_minute_until_a_trial_runs():
    said: list[int] = []
    now = SimpleNamespace(s=0.0)
    callback = WaitingForRoom(
        ONE, lambda line: said.append(int(now.s)), lambda: [], lambda: {}, lambda: now.s
    )

    def steps(until_s: int, status: str) -> None:
        while now.s < until_s:
            callback.on_step_begin(1, [SimpleNamespace(status=status), SimpleNamespace(status="PENDING")])
            now.s += 1

    steps(150, "PENDING")
    assert said == [20, 80, 140]
    steps(400, "RUNNING")
    assert said == [20, 80, 140]
    steps(430, "TERMINATED")  # the next trial has no room
    assert said == [20, 80, 140, 420]
