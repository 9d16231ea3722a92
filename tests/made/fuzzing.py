"""The one loop of every fuzz target: cases drawn from a printed seed, findings told with their cases.

Case      follows from FUZZ_SEED, the target's name and the case's number alone: one is repeated without the
          others before it: ``FUZZ_FROM=1234 FUZZ_CASES=1``.
Settings  FUZZ_CASES (each target's sample where unset), FUZZ_SEED [16], FUZZ_FROM [0], FUZZ_SECONDS: end a
          target after so long, and say how far it came [no bound].
Finding   any error that is no PlatformError, a refusal without the file or field it must name or longer than
          MAX_MESSAGE, an assertion of the target about what was taken, a case of more than SLOW_S of CPU. All
          cases are run; findings are grouped by the line that raised them.
"""

import os
import random
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from kalshi_platform.domain.bounded import MAX_MESSAGE, MAX_NAME, MAX_NAMES
from kalshi_platform.domain.errors import PlatformError

CASES: Final = int(os.environ["FUZZ_CASES"]) if "FUZZ_CASES" in os.environ else None
SEED: Final = int(os.environ.get("FUZZ_SEED", "16"))
FROM: Final = int(os.environ.get("FUZZ_FROM", "0"))
SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "inf"))
#: CPU seconds of one case above which something grows faster than its input: cases are a few kilobytes.
SLOW_S: Final = 10.0
#: Wall seconds after which the case that runs is named on stderr, once: pytest's own limit ends it.
_WATCH_S: Final = 60.0
_MOST_FINDINGS: Final = 12


class FindingError(AssertionError):
    """What a target asserts of a case and does not hold."""


def fuzz(target: str, sample: int, one: Callable[[random.Random], str]) -> Counter[str]:
    """Run the cases of ``target``: ``one`` takes a case's generator and returns its refusal, "" if taken.

    Prints one line; AssertionError with every kind of finding. Returns the counts "refused" and "taken".
    """
    wanted = sample if CASES is None else CASES
    counts: Counter[str] = Counter()
    found: dict[str, str] = {}
    slowest_s, at = 0.0, FROM
    with suppress(Exception):
        one(random.Random(f"{SEED}:{target}:first"))  # compiles kernels, imports: no time of a case
    began_s = time.monotonic()
    with _Watch(target) as watch:
        for at in range(FROM, FROM + wanted):
            if time.monotonic() - began_s > SECONDS:
                break
            watch.case = at
            cpu_s = time.process_time()
            try:
                said = one(random.Random(f"{SEED}:{target}:{at}"))
                counts["refused" if said else "taken"] += 1
            except Exception as error:
                counts["findings"] += 1
                found.setdefault(_place(error), f"case {at}: {type(error).__name__}: {str(error)[:400]}")
            took_s = time.process_time() - cpu_s
            if took_s > SLOW_S:  # it may have compiled a kernel: the second time tells
                cpu_s = time.process_time()
                with suppress(Exception):
                    one(random.Random(f"{SEED}:{target}:{at}"))
                took_s = time.process_time() - cpu_s
            slowest_s = max(slowest_s, took_s)
            if took_s > SLOW_S:
                found.setdefault("slow", f"case {at}: {took_s:.1f} s of CPU")
        else:
            at = FROM + wanted
    tried = at - FROM
    line = (
        f"fuzz {target}: seed {SEED}, cases {FROM} to {at - 1} ({tried:,} of {wanted:,}), "
        f"{counts['refused']:,} refused, {counts['taken']:,} taken, "
        f"{counts['findings']:,} findings of {len(found)} kinds, "
        f"slowest {slowest_s:.2f} s of CPU, {time.monotonic() - began_s:.0f} s"
    )
    print(line, flush=True)
    if found:
        kinds = "\n".join(f"  {place}\n    {words}" for place, words in list(found.items())[:_MOST_FINDINGS])
        raise AssertionError(f"{line}\n{kinds}\nrepeat one: FUZZ_SEED={SEED} FUZZ_FROM=CASE FUZZ_CASES=1")
    return counts


def refusal(use: Callable[[], Any], *names: str) -> str:
    """Words in which ``use()`` refuses, "" where it does not; short, and with one of ``names`` if any."""
    try:
        use()
    except PlatformError as error:
        said = str(error)
        check_words(said, *names)
        return said
    return ""


def check_words(said: str, *names: str) -> None:
    """Refuse an empty refusal, one longer than MAX_MESSAGE, and one that names nothing of ``names``."""
    if not said:
        raise FindingError("a refusal without a word")
    if len(said) > MAX_MESSAGE:
        raise FindingError(f"a refusal of {len(said)} characters: {said[:120]}...")
    if names and not any(name in said for name in names):
        raise FindingError(f"a refusal names none of {', '.join(names)}: {said[:200]}")


def check_counters(names: Iterable[str]) -> None:
    """Refuse names of counters that grow with what a stranger sends."""
    kinds: Counter[str] = Counter()
    for name in names:
        kinds[name.partition(":")[0]] += 1
        if len(name) > 3 * MAX_NAME + 40:
            raise FindingError(f"a counter's name of {len(name)} characters: {name[:80]}...")
    if kinds and max(kinds.values()) > MAX_NAMES + 1:
        raise FindingError(f"{max(kinds.values())} counters of one kind")


class _Watch:
    """Names the case that runs for long, so that a hang can be repeated."""

    def __init__(self, target: str) -> None:
        self.target, self.case = target, -1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before = None
        while not self._over.wait(_WATCH_S):
            if self.case == before:
                print(f"fuzz {self.target}: case {before} still runs", file=sys.stderr, flush=True)
            before = self.case


def _place(error: Exception) -> str:
    """Kind of an error and the innermost line of this program that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "kalshi_platform" in f.filename or "serve_deployments" in f.filename]
    last = (own or frames)[-1]
    says = "" if own else f" {str(error)[:40]}"
    return f"{type(error).__name__} at {os.path.relpath(last.filename)}:{last.lineno}{says}"
