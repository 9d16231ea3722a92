"""Room for trials: what each asks of the cluster, and a word to the user while nobody has it.

Units      bytes; Ray counts the memory that a node promises, it does not watch what a process takes.
Estimate   a trial's own process and its samplers (``learning/training/machine.py``). The bank is a mapped
           file whose pages the system takes back when it needs them, and all trials of a machine share them:
           it is not asked for.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import ray
from ray.tune import Callback, PlacementGroupFactory

from kalshi_platform.domain.saying import Say
from kalshi_platform.learning.training.machine import GIB, WORKER_BYTES
from kalshi_platform.learning.training.session import RunSettings

#: Own memory of a trial's process: Python, torch and Ray, the network, and a batch with its copies.
TRIAL_BYTES: Final = GIB
FIRST_WORD_S: Final = 20.0
NEXT_WORD_S: Final = 60.0

Resources = Mapping[str, float]


def room_for(settings: Sequence[RunSettings]) -> PlacementGroupFactory:
    """Resources that every trial of a stage asks for: a CPU and memory, and the same for each sampler.

    Sampling workers are actors of the trial and live in its placement group.
    """
    samplers = max(each.train.num_env_runners for each in settings)
    own, worker = ({"CPU": 1.0, "memory": float(n)} for n in (TRIAL_BYTES, WORKER_BYTES))
    return PlacementGroupFactory([own] + [worker] * samplers)


class WaitingForRoom(Callback):
    """Ray Tune's callback that says why no trial runs: after 20 s, then every minute."""

    def __init__(
        self,
        bundles: Sequence[Resources],
        say: Say,
        nodes: Callable[[], list[Resources]] | None = None,
        free: Callable[[], Resources] | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``nodes`` gives the resources of every living machine, ``free`` those that nobody has taken."""
        self._bundles, self._say, self._clock_s = list(bundles), say, clock_s
        self._nodes, self._free = nodes or _living_nodes, free or ray.available_resources
        self._due_s: float | None = None  # of the next word; None while a trial runs

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes its callbacks beside its logs; nothing of ours is read back from there.
        return {"_bundles": self._bundles}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Say that trials wait, where none of them runs; Ray Tune calls this several times a second."""
        if not any(t.status == "PENDING" for t in trials) or any(t.status == "RUNNING" for t in trials):
            self._due_s = None
        elif self._due_s is None:
            self._due_s = self._clock_s() + FIRST_WORD_S
        elif self._clock_s() >= self._due_s:
            self._due_s = self._clock_s() + NEXT_WORD_S
            self._say(waiting_words(self._bundles, self._nodes(), self._free()))


def waiting_words(bundles: Sequence[Resources], nodes: Sequence[Resources], free: Resources) -> str:
    """Sentence about trials that wait: what one asks for, what the cluster has, what can be done."""
    asked = _sum(bundles)
    total = _sum(nodes)
    has = f"the cluster has {_words(total)} on {len(nodes)} machine{'s' * (len(nodes) != 1)}"
    begin = f"no trial runs yet: each asks for {_words(asked)}"
    if not all(any(_fits(bundle, node) for node in nodes) for bundle in bundles) or not _fits(asked, total):
        return (
            f"{begin}; {has}, and no machine has room for that: start workers (or wait for those that are "
            "starting), or end the sweep and ask for less"
        )
    if not _fits(asked, free):
        # A trial's process takes its room when Ray starts it, before Ray Tune calls it running.
        return (
            f"{begin}; {has}, of which {_words(free)} are free: waiting until other work ends, or until the "
            "trials that took the rest have started"
        )
    return f"{begin}; {has} and room for it: waiting for the trial's process to start"


def _living_nodes() -> list[Resources]:
    nodes: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0)]


def _sum(parts: Sequence[Resources]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update({name: part.get(name, 0) for name in ("CPU", "memory")})
    return dict(total)


def _fits(asked: Resources, there: Resources) -> bool:
    return all(there.get(name, 0) >= amount for name, amount in asked.items())


def _words(resources: Resources) -> str:
    cores, memory = resources.get("CPU", 0), resources.get("memory", 0)
    return f"{cores:g} CPU{'s' * (cores != 1)} and {memory / GIB:.1f} GiB of memory"
