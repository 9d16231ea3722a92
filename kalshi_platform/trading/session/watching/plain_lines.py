"""Lines of a session on a plain terminal: money, what keeps orders from going out, problems, alarms."""

from collections.abc import Iterator, Mapping

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.units import DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode
from kalshi_platform.trading.session.refusals import BY_EXCHANGE
from kalshi_platform.trading.session.snapshot import SessionSnapshot

#: Counters of a session that are told when they grew, and their words.
_GROWN: Mapping[str, str] = {
    "policy_failures": "decisions failed since the last line: the session held",
    "decided_by_none": "groups were decided by no tier of the model since the last line: the session held",
    "decisions_put_off": "decisions were put off since the last line: too many frames waited",
    "frames_refused": "frames could not be applied since the last line: their books wait for a whole one",
}


class PlainLines:
    """Lines of one snapshot after another; counts are those since the lines before."""

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}
        self._counters: dict[str, int] = {}
        self._why = STARTED  # of the state, as it was told last

    def of(self, snapshot: SessionSnapshot) -> list[str]:
        """Lines of a snapshot, each at most 500 characters."""
        lines = [_money(snapshot), *(f"  {line}" for line in self._details(snapshot))]
        self._refused = {cause: each["n"] for cause, each in snapshot.refused.items()}
        self._counters = {name: snapshot.counters.get(name, 0) for name in _GROWN}
        self._why = snapshot.state_why
        return [bounded_message(line) for line in lines]

    def _details(self, snapshot: SessionSnapshot) -> Iterator[str]:
        """Lines below the first one."""
        if snapshot.state != RiskMode.ACTIVE or snapshot.state_why != self._why:
            yield f"trading is {snapshot.state.upper()}: {snapshot.state_why}"
        yield from (f"no order goes out: {why}" for why in snapshot.standstill)
        for cause, each in snapshot.refused.items():
            n = each["n"] - self._refused.get(cause, 0)
            if n > 0:
                who = "the exchange refused" if cause == BY_EXCHANGE else "not sent:"
                yield f"{who} {n} orders since the last line, the newest by {each['words'] or cause}"
        for name, words in _GROWN.items():
            n = snapshot.counters.get(name, 0) - self._counters.get(name, 0)
            if n > 0:
                yield f"{n} {words}"
        yield from (f"{what}: {why}" for what, why in snapshot.problems.items())
        yield from (f"alarm {alarm['name']}: {alarm['text']}" for alarm in snapshot.health["alarms"])


def _money(snapshot: SessionSnapshot) -> str:
    """Time, money, counts and latency."""
    latency = snapshot.latency["stages"]["decision"]
    p99 = f", decision p99 {latency['p99_ms']:.2f} ms" if "p99_ms" in latency else ""
    elapsed_s = (snapshot.now_ns - snapshot.started_ns) / NS_PER_SECOND
    traded = [market for market in snapshot.markets if market.is_traded]
    positions = sum(market.position_e2 != 0 for market in traded)
    elsewhere = len(snapshot.markets) - len(traded)
    untraded = f" and {elsewhere} in markets not traded here" if elsewhere else ""
    return (
        f"{elapsed_s:.0f} s: P&L {snapshot.pnl_e6 / DOLLAR_E6:+.2f} $, equity "
        f"{snapshot.equity_e6 / DOLLAR_E6:.2f} $, fees {snapshot.fees_e6 / DOLLAR_E6:.2f} $; "
        f"{snapshot.decisions} decisions, {snapshot.orders} orders, {snapshot.fills} fills, "
        f"{positions} positions in {len(traded)} markets{untraded}; {snapshot.frames} frames{p99}"
    )
