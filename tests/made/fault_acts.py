"""Faults that a running recorder can meet: each is planted, has struck, and says what it did."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.simserver.faults.forms import FRAME_KINDS, REST_KINDS
from made.fault_bench import PONG_TIMEOUT_S, Act, Bench, Done, Recording

#: Fault of the stream -> kind of its hole; of every other one it is a gap.
HOLE_OF = {
    "disconnect": sink.DISCONNECTED, "half_open": sink.DISCONNECTED,
    "overflow": sink.TERMINAL, "channel_error": sink.TERMINAL,
}  # fmt: skip


def strikes(kind: str, times: int, *, holes: int = 1, **fault: Any) -> Act:
    """Act that plants one fault of the stream after another; each makes ``holes`` rows before the next, of
    its own kind and on the connection that it struck."""

    def strike(bench: Bench, recorder: Recording) -> None:
        n, figures = bench.struck(kind), recorder.until(lambda f: f["conns"])
        (conn,), before = figures["conns"], figures["holes"]
        own = [(HOLE_OF.get(kind, sink.GAP), conn)] * holes
        bench.plant(kind, **fault)
        bench.until_struck(kind, n + 1)
        if kind == "half_open":
            recorder.say(do="skip", s=PONG_TIMEOUT_S)
        recorder.until(lambda f: new_holes(f, before) == own)
        recorder.until_whole()

    def act(bench: Bench, recorder: Recording) -> Done:
        for _ in range(times):
            strike(bench, recorder)
        return Done(times, holes * times)

    return act


def new_holes(figures: dict[str, Any], before: int) -> list[tuple[str, int]]:
    """(kind, connection) of the holes after the first ``before``."""
    n_new = figures["holes"] - before
    return [(row["kind"], row["conn"]) for row in figures["hole_rows"][-n_new:]] if n_new else []


def quiet(seconds: float) -> Act:
    """Act that does nothing for a while."""

    def act(bench: Bench, recorder: Recording) -> Done:
        time.sleep(seconds)
        return Done(0)

    return act


def clock_steps(*steps_s: float) -> Act:
    """Act that sets the recorder's wall clock again and again."""

    def act(bench: Bench, recorder: Recording) -> Done:
        for step_s in steps_s:
            recorder.say(do="clock", step_s=step_s)
            more_frames(recorder)
        return Done(len(steps_s))

    return act


def no_names(minutes: float, speed: float) -> Act:
    """Act that takes the resolver away for some minutes of the recorder's clock, and cuts the connection."""

    def act(bench: Bench, recorder: Recording) -> Done:
        asked = recorder.figures()["names_asked"]
        recorder.say(do="names", known=False)
        bench.plant("disconnect")
        recorder.until(lambda f: f["connections"] == 0)
        recorder.say(do="speed", x=speed)
        time.sleep(minutes * 60 / speed)
        shift_ns: int = recorder.ask("shift_ns", do="speed", x=1)
        alarms = recorder.figures()["standing"]
        shifted = (time.monotonic_ns() + shift_ns, shift_ns)
        # The exchange lives on in the recorder's time: it refuses signatures of another.
        bench.plant("clock_skew", skew_ms=shift_ns // 1_000_000)
        try:
            recorder.say(do="names", known=True)
            recorder.until_whole()
            tries = recorder.figures()["names_asked"] - asked
        finally:
            bench.plant("clock_skew", skew_ms=0)
        done = Done(1, 1, [f"{shift_ns / 6e10:.1f} min without names, {tries} look-ups"])
        done.shifts = [shifted]
        done.misses += [] if "not connected" in alarms else [f"no alarm 'not connected': {alarms}"]
        return done

    return act


def slow_disk(sync_s: float, seconds: float) -> Act:
    """Act in which every sync takes longer for a while."""

    def act(bench: Bench, recorder: Recording) -> Done:
        recorder.say(do="fsync", s=sync_s)
        time.sleep(seconds)
        recorder.say(do="fsync", s=0)
        lost = recorder.figures()["frames_lost_to_disk"]
        return Done(1, 0, [f"{lost} frames thrown away"])

    return act


def then(*acts: Act) -> Act:
    """Act of several, one after another."""

    def act(bench: Bench, recorder: Recording) -> Done:
        whole = Done(0)
        for each in acts:
            done = each(bench, recorder)
            whole.times += done.times
            whole.holes += done.holes
            whole.remarks += done.remarks
            whole.misses += done.misses
        return whole

    return act


def until_true(what: Callable[[], object], patience_s: float = 60.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)


def more_frames(recorder: Recording) -> None:
    """Wait for some frames more."""
    least = recorder.figures()["frames"] + 20
    recorder.until(lambda f: f["frames"] >= least)


def outside(kind: str, times: int, **fault: Any) -> Act:
    """Act that lets faults strike that make no hole."""

    def act(bench: Bench, recorder: Recording) -> Done:
        n = bench.struck(kind)
        if kind in (*FRAME_KINDS, *REST_KINDS):
            bench.plant(kind, count=times, **fault)
        else:
            for _ in range(times):
                bench.plant(kind, **fault)
                more_frames(recorder)
        bench.until_struck(kind, n + times)
        more_frames(recorder)
        return Done(times)

    return act


def skewed_key(skew_s: float) -> Act:
    """Act in which the exchange's clock is wrong when the connection breaks: it refuses the handshakes."""

    def act(bench: Bench, recorder: Recording) -> Done:
        bench.plant("clock_skew", skew_ms=round(skew_s * 1000))
        bench.plant("disconnect")
        recorder.until(lambda f: kinds_of(f)["unreachable"] >= 3)
        told = kinds_of(recorder.figures())
        bench.plant("clock_skew", skew_ms=0)
        recorder.until_whole()
        done = Done(1, 1, [f"{told['unreachable']} handshakes refused"])
        done.misses += [] if told["clock_skew"] else ["no note clock_skew"]
        return done

    return act


def kinds_of(figures: dict[str, Any]) -> Counter[str]:
    """Notes by kind among the last that a recorder shows."""
    return Counter(note["kind"] for note in figures["notes"])


def drift(bench: Bench, recorder: Recording) -> Done:
    """Let the stream lie once about the best bid of a market, and wait until the checks find it."""
    done = Done(1)
    truth = bench.truth()
    ticker = max(
        (t for t, m in truth.items() if m["status"] == "active"),
        key=lambda t: truth[t]["n_trades"],
        default="",
    )
    recorder.until(lambda f: f["checks"] >= 20)
    bench.exchange.ask("marked", lie=ticker)
    planted = time.monotonic()
    recorder.until(lambda f: f["drifts"] >= 1)
    done.remarks.append(f"lie about {ticker} found {time.monotonic() - planted:.1f} s after it was planted")
    return done


def many_checks(n: int) -> Act:
    """Act that waits for ``n`` checks of books against REST: 99 of 100 must agree."""

    def act(bench: Bench, recorder: Recording) -> Done:
        figures = recorder.until(lambda f: f["checks"] >= n, 600)
        done = Done(figures["checks"])
        share = 1 - figures["mismatches"] / figures["checks"]
        done.remarks.append(f"{figures['checks']} tops against REST, {share:.2%} agree")
        done.misses += [] if share >= 0.99 else [f"only {share:.2%} agree"]
        return done

    return act


def early_close(*, redetermine: bool) -> Act:
    """Act that closes an event early, lets it settle and waits for its outcomes; ``redetermine``: the first
    result of one market is changed before it is paid."""

    def act(bench: Bench, recorder: Recording) -> Done:
        figures, truth = recorder.figures(), bench.truth()
        recorded = {market["market"] for market in figures["coverage_markets"]}
        active = [t for t in sorted(recorded) if truth[t]["status"] == "active"]
        assert active, "the recorder has no market that is open"
        known, event = figures["outcomes"], active[-1].rsplit("-", 1)[0]  # the one that opened last
        n = bench.struck("redetermine")
        bench.plant("early_close", seconds=1, ticker=event)
        if redetermine:
            bench.plant("redetermine", seconds=0.5, ticker=event)
        mine = [ticker for ticker in active if ticker.startswith(f"{event}-")]
        until_true(lambda: all(bench.truth()[ticker]["status"] == "finalized" for ticker in mine))
        recorder.until(lambda f: f["outcomes"] >= known + len(mine))
        time.sleep(2.5)  # the last answer of REST is written
        done = Done(1, 0, [f"{len(mine)} markets of {event} settled"], may_be_last=True)
        done.outcomes = {ticker: bench.truth()[ticker]["value_e4"] for ticker in mine}
        if redetermine and bench.struck("redetermine") == n:
            done.misses.append("no result was changed")
        return done

    return act
